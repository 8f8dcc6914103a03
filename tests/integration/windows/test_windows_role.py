# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""What the role windows_worker would put on a machine, rendered by Ansible itself, and read by what has to read it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml
from windows_machine import ROOT
from working_tree import collections_path

from ovn_k8s.windows.config import load

PLAY = """
- hosts: win1
  gather_facts: false
  connection: local
  vars_files:
    - {root}/roles/cluster/defaults/main.yml
    - {root}/roles/windows_worker/defaults/main.yml
    - {root}/roles/windows_worker/vars/main.yml
  tasks:
    - ansible.builtin.copy:
        dest: {here}/rendered.json
        mode: "0600"
        content: >-
          {{{{ {{'files': windows_worker_files, 'services': windows_worker_services, 'rules': windows_worker_rules,
               'directories': windows_worker_directories, 'chassis': windows_worker_chassis,
               'kube_proxy': windows_worker_kube_proxy_config}} | to_json }}}}
      vars:
        ansible_python_interpreter: {python}
"""
SUBNETS = """
- hosts: masters:linux_workers
  gather_facts: false
  module_defaults: &nowhere
    ovn_k8s.cluster.ovn_k8s_topology:
      remote: unix:{here}/none.sock
  roles:
    - ovn_k8s.cluster.overlay
- hosts: windows_workers
  gather_facts: false
  module_defaults: *nowhere
  tasks:
    - ansible.builtin.import_role:
        name: ovn_k8s.cluster.windows_worker
        tasks_from: configure
      tags: [windows_worker_configure]
    - ansible.builtin.debug:
        msg: "subnets: {{{{ both.keys() | zip(both.values()) | map('join', '=') | join(' ') }}}} end"
      vars:
        both: "{{{{ hostvars.linux1.overlay_topology.subnets | combine(windows_worker_topology.subnets) }}}}"
      run_once: true
      tags: [always]
"""
SETTINGS = {
    "kubernetes_api_url": "https://192.0.2.11:6443",
    "kubernetes_binaries_windows_dir": "/binaries",
    "ovn_k8s_node_ip": "192.0.2.21",
    "windows_worker_machine": {"adapter": "Ethernet 2", "mtu": 1400, "features": ["dsr"], "facts": {}},
    "windows_worker_topology": {"subnets": {"win1": "10.244.5.64/26"}},
    "windows_worker_bundle": {"program_dir": r"C:\Program Files\ovn-k8s\0123"},
    "cluster_inventory": {"southbound_remote": "ssl:192.0.2.11:6642"},
}


def play(here: Path, *arguments: str) -> str:
    """Run play.yml; what it prints."""
    command = [sys.executable, "-m", "ansible", "playbook", "play.yml", *arguments]
    # The project's own has the lab's ways.
    (here / "ansible.cfg").write_text("[defaults]\n")
    environment = {
        **os.environ,
        "ANSIBLE_CONFIG": str(here / "ansible.cfg"),
        "ANSIBLE_COLLECTIONS_PATH": str(collections_path()),
    }
    done = subprocess.run(command, cwd=here, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def rendered(here: Path, **settings: Any) -> dict[str, Any]:
    (here / "templates").symlink_to(ROOT / "roles" / "windows_worker" / "templates")
    (here / "play.yml").write_text(PLAY.format(root=ROOT, here=here, python=sys.executable))
    (here / "settings.json").write_text(json.dumps({**SETTINGS, **settings}))
    play(here, "-i", "win1,", "-e", "@settings.json")
    found: dict[str, Any] = json.loads((here / "rendered.json").read_text())
    found["files"] = {file["path"]: file for file in found["files"]}
    return found


@pytest.mark.parametrize(
    ("datapath", "runtime"),
    [("hybrid_overlay", "containerd"), ("hybrid_overlay", "docker"), ("ovs", "containerd"), ("ovs", "docker")],
)
def test_everything_that_is_written_can_be_read(tmp_path: Path, datapath: str, runtime: str) -> None:
    found = rendered(tmp_path, windows_runtime=runtime, windows_datapath=datapath)
    files, services = found["files"], {service["name"]: service for service in found["services"]}
    assert not [path for path in files if "\\\\" in path or "\n" in path or "\t" in path]
    assert not [command for service in services.values() if "\\\\" in (command := service["command"])]

    (tmp_path / "node.toml").write_text(files[r"C:\ProgramData\ovn-k8s\node.toml"]["content"])
    node = load(tmp_path / "node.toml")
    assert (node.node_name, str(node.node_subnet), node.adapter) == ("win1", "10.244.5.64/26", "Ethernet 2")
    assert (node.datapath, node.runtime) == (datapath, runtime)
    assert node.kubernetes is not None

    kubelet = yaml.safe_load(files[r"C:\ProgramData\Kubernetes\kubelet.yaml"]["content"])
    assert kubelet["registerWithTaints"] == [{"key": "os", "value": "windows", "effect": "NoSchedule"}]
    access = yaml.safe_load(files[r"C:\ProgramData\Kubernetes\kubelet.kubeconfig"]["content"])
    assert access["users"][0]["user"]["client-key"] == r"C:\ProgramData\Kubernetes\pki\kubelet-client.key"

    # Each file that a service reads or runs is brought; keys are not shown, and lie in private folders.
    for service in services.values():
        assert set(service["reads"]) <= set(files), service["name"]
    keys = [file for path, file in files.items() if path.endswith(".key")]
    assert keys and all(file["sensitive"] for file in keys)
    private = [directory["path"] for directory in found["directories"] if directory.get("private")]
    assert all(any(file["path"].startswith(f"{folder}\\") for folder in private) for file in keys)

    order = list(services)
    for service in services.values():
        known = [other for other in service.get("depends", ()) if other in services]
        assert all(order.index(other) < order.index(service["name"]) for other in known)
    assert ("kube-proxy" in services) is (datapath == "hybrid_overlay")
    assert ("containerd" in services, "cri-dockerd" in services) == (runtime == "containerd", runtime == "docker")

    if runtime == "containerd":
        settings = tomllib.loads(files[r"C:\Program Files\containerd\config.toml"]["content"])
        cni = settings["plugins"]["io.containerd.cri.v1.runtime"]["cni"]
        assert rf"{cni['conf_dir']}\10-ovn-k8s.conflist" in files
        assert kubelet["containerRuntimeEndpoint"].endswith(settings["grpc"]["address"].rpartition("\\")[2])
    else:
        json.loads(files[r"C:\ProgramData\docker\daemon.json"]["content"])

    states = {rule["name"]: rule.get("state", "present") for rule in found["rules"]}
    assert states["ovn-k8s: VXLAN"] == ("present" if datapath == "hybrid_overlay" else "absent")
    assert found["chassis"]["private_key"] == r"C:\ProgramData\ovn-k8s\pki\ovn.key"
    assert (r"C:\ProgramData\ovn-k8s\pki\ovn.key" in files) is (datapath == "ovs")
    # The second address of the subnet, wherever that begins.
    assert found["kube_proxy"]["winkernel"]["sourceVip"] == "10.244.5.66"
    assert found["kube_proxy"]["winkernel"]["enableDSR"] is True


def test_check_mode_on_blank_machines_says_the_subnets_that_a_run_gives(tmp_path: Path) -> None:
    """Two tasks choose them, and no database remembers between them; a subnet of the inventory is nobody else's."""
    hosts: dict[str, dict[str, Any]] = {
        "masters": {"m1": {}},
        "linux_workers": {"linux1": {}, "linux2": {}},
        "windows_workers": {"win1": {"ovn_k8s_node_subnet": "10.244.1.0/24"}, "win2": {}},
    }
    numbers = iter(range(11, 20))
    for name, group in hosts.items():
        for settings in group.values():
            settings |= {"ansible_host": f"192.0.2.{next(numbers)}", "ansible_python_interpreter": sys.executable}
            settings["ansible_connection"] = (
                "winrm" if name == "windows_workers" else "local"
            )  # nobody goes to the former
    kubeconfig = tmp_path / "kubeconfig"
    kubeconfig.touch()
    inventory = {
        "vars": {"kubernetes_managed": False, "master_watcher_kubeconfig": str(kubeconfig)},
        "children": {name: {"hosts": group} for name, group in hosts.items()},
    }
    (tmp_path / "hosts.yml").write_text(yaml.safe_dump({"all": inventory}))
    (tmp_path / "play.yml").write_text(SUBNETS.format(here=tmp_path))
    told = play(tmp_path, "-i", "hosts.yml", "--check", "--tags", "overlay_topology,windows_worker_configure")
    subnets = dict(one.split("=") for one in told.partition("subnets: ")[2].partition(" end")[0].split())
    assert subnets == {
        "m1": "10.244.0.0/24",
        "linux1": "10.244.2.0/24",
        "linux2": "10.244.3.0/24",
        "win1": "10.244.1.0/24",
        "win2": "10.244.4.0/24",
    }
