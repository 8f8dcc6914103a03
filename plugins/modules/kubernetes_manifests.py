#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors

from __future__ import annotations

DOCUMENTATION = r"""
module: kubernetes_manifests
short_description: Apply many Kubernetes objects at once with the machine's kubectl
version_added: 0.1.0
description:
  - Compares the objects with what the API server has, by a server-side dry run, and applies them server-side when
    there is a difference. Needs nothing on the machine but C(kubectl) and C(diff).
  - Can wait until the API server is ready.
author:
  - The ovn_k8s.cluster authors (@ovn-k8s)
options:
  definitions:
    description: The objects, as in a manifest. May be empty, to wait only.
    type: list
    elements: dict
    default: []
  kubeconfig:
    description: Kubeconfig on the machine.
    type: path
    default: /etc/kubernetes/admin.kubeconfig
  kubectl:
    description: The client on the machine.
    type: path
    default: /usr/local/bin/kubectl
  field_manager:
    description: Name under which the API server keeps which fields are ours.
    type: str
    default: ovn-k8s-ansible
  wait_ready:
    description: Seconds to wait for the API server to be ready; V(0) does not wait.
    type: int
    default: 0
attributes:
  check_mode:
    support: full
    description:
      - Does a server-side dry run. Where there is no API server yet, all objects are reported as to be made.
  diff_mode:
    support: full
    description: Shows the difference that C(kubectl diff) shows.
  idempotent:
    support: full
    description: A second run finds no difference and applies nothing.
  platform:
    support: full
    platforms: linux
    description: Runs where kubectl is.
"""

EXAMPLES = r"""
- name: Make a namespace
  ovn_k8s.cluster.kubernetes_manifests:
    wait_ready: 60
    definitions:
      - apiVersion: v1
        kind: Namespace
        metadata:
          name: example
"""

RETURN = r"""
applied:
  description: The objects that were applied because something differed, as kind/name.
  returned: always
  type: list
  elements: str
"""

import json
import time
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule


def titles(definitions: list[dict[str, Any]]) -> list[str]:
    """kind/name, or kind/namespace/name, of each object."""
    found = []
    for definition in definitions:
        metadata = definition.get("metadata", {})
        parts = [definition.get("kind", "?"), metadata.get("namespace", ""), metadata.get("name", "?")]
        found.append("/".join(part for part in parts if part))
    return found


class Kubectl:
    """The client, always with one kubeconfig."""

    def __init__(self, module: AnsibleModule) -> None:
        self.module = module
        self.command = [module.params["kubectl"], "--kubeconfig", module.params["kubeconfig"]]

    @property
    def usable(self) -> bool:
        return Path(self.module.params["kubectl"]).exists() and Path(self.module.params["kubeconfig"]).exists()

    def run(self, arguments: list[str], data: str | None = None) -> tuple[int, str, str]:
        code, out, err = self.module.run_command([*self.command, *arguments], data=data)
        return code, out, err

    def ready(self) -> tuple[bool, str]:
        code, out, err = self.run(["get", "--raw", "/readyz", "--request-timeout=5s"])
        return code == 0, (err or out).strip()

    def wait(self, seconds: int) -> None:
        """Until /readyz says ok; fails with its last answer."""
        deadline = time.monotonic() + seconds
        while True:
            ready, answer = self.ready()
            if ready:
                return
            if time.monotonic() > deadline:
                self.module.fail_json(
                    msg=f"the API server is not ready after {seconds} s: {answer[-600:]}. "
                    "See journalctl -u kube-apiserver and journalctl -u etcd on the master."
                )
            time.sleep(0.4)


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "definitions": {"type": "list", "elements": "dict", "default": []},
            "kubeconfig": {"type": "path", "default": "/etc/kubernetes/admin.kubeconfig"},
            "kubectl": {"type": "path", "default": "/usr/local/bin/kubectl"},
            "field_manager": {"type": "str", "default": "ovn-k8s-ansible"},
            "wait_ready": {"type": "int", "default": 0},
        },
        supports_check_mode=True,
    )
    definitions = module.params["definitions"]
    names = titles(definitions)
    kubectl = Kubectl(module)
    if module.check_mode and not (kubectl.usable and kubectl.ready()[0]):
        planned = "".join(f"+ {name}\n" for name in names)
        module.exit_json(changed=bool(names), applied=names, diff={"prepared": planned})
    if not kubectl.usable:
        module.fail_json(msg=f"{module.params['kubectl']} and {module.params['kubeconfig']} are needed on this machine")
    if module.params["wait_ready"]:
        kubectl.wait(module.params["wait_ready"])
    if not definitions:
        module.exit_json(changed=False, applied=[])
    manifest = json.dumps({"apiVersion": "v1", "kind": "List", "items": definitions})
    common = ["--server-side", "--force-conflicts", f"--field-manager={module.params['field_manager']}"]
    code, out, err = kubectl.run(["diff", *common, "--filename=-"], manifest)
    if code == 0:
        module.exit_json(changed=False, applied=[])
    # above 1 the dry run failed, as it does for an object in a namespace that is only to be made
    difference = {"prepared": out if code == 1 else "".join(f"+ {name}\n" for name in names)}
    if module.check_mode:
        module.exit_json(changed=True, applied=names, diff=difference)
    code, _out, err = kubectl.run(["apply", *common, "--filename=-"], manifest)
    if code:
        module.fail_json(msg=f"the API server refused {', '.join(names)}: {err.strip()[-900:]}")
    module.exit_json(changed=True, applied=names, diff=difference)


if __name__ == "__main__":
    main()
