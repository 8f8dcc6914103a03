# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors

SHELL := /bin/bash
.DEFAULT_GOAL := help

PYTHON ?= python3
VENV ?= $(CURDIR)/.venv
INVENTORY ?= inventories/lab
NODE ?= linux1
LAB := VENV='$(VENV)' $(PYTHON) -m lab
INSIDE := $(LAB) exec --

.PHONY: help
help: ## Show what can be made
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# ---- the tools

.PHONY: host-packages
host-packages:
	@lab/host-setup lab/host-packages.txt

.PHONY: tools
tools: host-packages
	@lab/tools '$(PYTHON)' '$(VENV)' requirements/run.txt

.PHONY: test-tools
test-tools: host-packages
	@lab/host-setup lab/test-packages.txt
	@lab/tools '$(PYTHON)' '$(VENV)' requirements/test.txt --project

.PHONY: lint-tools
lint-tools: host-packages
	@lab/tools '$(PYTHON)' '$(VENV)' requirements/lint.txt --project

# ---- the lab

.PHONY: lab-up
lab-up: tools ## Start the lab's machines, blank when they are new
	@$(LAB) up

.PHONY: lab-binaries
lab-binaries: host-packages ## Fetch or build the Kubernetes, etcd and containerd programs
	@$(LAB) binaries

.PHONY: lab-down
lab-down: ## Remove the lab and all that is in it
	@$(LAB) down

.PHONY: lab-status
lab-status: ## Say which machines run
	@$(LAB) status

.PHONY: lab-ssh
lab-ssh: ## A shell on a machine, or CMD='...' there: make lab-ssh NODE=linux1
	@$(LAB) ssh $(NODE) $(CMD)

.PHONY: lab-shell
lab-shell: ## A shell in the control namespace, with ansible and kubectl
	@$(LAB) exec

.PHONY: lab-reboot
lab-reboot: ## Reboot a machine: make lab-reboot NODE=linux1
	@$(LAB) reboot $(NODE)

.PHONY: kubectl
kubectl: ## Run kubectl: make kubectl ARGS='get nodes'
	@$(INSIDE) kubectl $(ARGS)

# ---- the playbooks

.PHONY: site
site: tools ## Make the machines of INVENTORY (the lab's) one cluster; more options in ARGS
	@$(INSIDE) ansible-playbook -i $(INVENTORY) playbooks/site.yml $(ARGS)

.PHONY: verify
verify: tools ## Check the cluster with real pods
	@$(INSIDE) ansible-playbook -i $(INVENTORY) playbooks/verify.yml $(ARGS)

.PHONY: reset
reset: tools ## Take the cluster off the machines again; asks before it does
	@$(INSIDE) ansible-playbook -i $(INVENTORY) playbooks/reset.yml $(ARGS)

.PHONY: other-datapath
other-datapath: tools ## Take win1 out of the cluster, and make it a worker with the other windows_datapath
	@$(INSIDE) ansible-playbook -i inventories/lab playbooks/reset.yml --limit win1 -e reset_confirm=yes
	@$(LAB) datapath other
	@$(INSIDE) ansible-playbook -i inventories/lab playbooks/site.yml --limit win1

.PHONY: demo
demo: ## Everything: machines, cluster, checks, and the checks again with the other datapath of Windows
	@begun=$$SECONDS; make='$(MAKE) --no-print-directory'; \
	$$make lab-up && $$make site && $$make verify && \
	if [ "$${LAB_WINDOWS:-1}" != 0 ]; then $$make other-datapath && $$make verify; fi && \
	echo "demo: all of it took $$((SECONDS - begun)) s; make lab-shell to look around, make lab-down to remove it"

# ---- for people who change it

.PHONY: test
test: test-fast test-lab ## All tests

.PHONY: test-fast
test-fast: test-tools lab-binaries ## Tests that need no lab
	'$(VENV)/bin/pytest' --dist loadfile --tx '2*popen//python=tests/isolated $(VENV)/bin/python' tests/unit tests/integration \
	|| tests/second-try $$? tests/isolated '$(VENV)/bin/pytest' tests/unit tests/integration
	$(LAB) go test ./...

.PHONY: test-lab
test-lab: test-tools ## Tests on a lab of their own
	'$(VENV)/bin/pytest' --timeout=3600 tests/e2e || tests/second-try $$? '$(VENV)/bin/pytest' --timeout=3600 tests/e2e

.PHONY: network-managers
network-managers: test-tools ## Moves of an interface under each network manager, on LAB_RELEASE
	tests/isolated '$(VENV)/bin/pytest' tests/managers

.PHONY: molecule
molecule: test-tools ## Molecule's scenarios: the modules on databases, every role on the lab's machines
	@mkdir -p .build/ansible_collections/ovn_k8s && ln -sfn $(CURDIR) .build/ansible_collections/ovn_k8s/cluster
	PATH='$(VENV)/bin':$$PATH '$(VENV)/bin/molecule' test -s modules
	@$(MAKE) --no-print-directory lab-up
	@$(INSIDE) molecule test -s cluster

.PHONY: bench
bench: test-tools ## Measurements, one JSON object a line
	@'$(VENV)/bin/python' -m tests.bench

.PHONY: lint
lint: lint-tools ## Style, types and Ansible's rules
	'$(VENV)/bin/ruff' check .
	'$(VENV)/bin/ruff' format --check .
	@# What the collection and the package share: mypy sees it in both, as each of them sees it.
	@rm -rf .build/types && mkdir -p .build/types/ovn_k8s .build/ansible_collections/ovn_k8s
	@ln -s $(CURDIR)/src/ovn_k8s/* $(CURDIR)/plugins/module_utils/{core,openflow,ovsdb} .build/types/ovn_k8s/
	@ln -sfn $(CURDIR) .build/ansible_collections/ovn_k8s/cluster
	MYPYPATH=.build/types '$(VENV)/bin/mypy' -p ovn_k8s
	MYPYPATH=.build '$(VENV)/bin/mypy' --allow-subclassing-any -p ansible_collections.ovn_k8s.cluster.plugins
	'$(VENV)/bin/mypy' lab
	ANSIBLE_COLLECTIONS_PATH=.build PATH='$(VENV)/bin':$$PATH '$(VENV)/bin/ansible-lint'
	tests/lint '$(VENV)/bin' .build/lint

.PHONY: docs
docs: lint-tools ## The documentation of every module and role, a page of Markdown each, in docs/modules
	@rm -rf docs/modules
	@mkdir -p .build/ansible_collections/ovn_k8s && ln -sfn $(CURDIR) .build/ansible_collections/ovn_k8s/cluster
	@ANSIBLE_COLLECTIONS_PATH=.build PATH='$(VENV)/bin':$$PATH python docs/as_markdown.py docs/modules

.PHONY: clean
clean: ## Remove what was made in this tree (not the lab, not its cache)
	rm -rf .build .venv docs/modules .mypy_cache .pytest_cache .ruff_cache
