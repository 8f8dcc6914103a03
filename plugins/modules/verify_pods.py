#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors

from __future__ import annotations

DOCUMENTATION = r"""
module: verify_pods
short_description: Start or remove the pods of a verification
version_added: 0.1.0
description:
  - Starts two pods on every given node, in a namespace of their own, and waits until they run; or removes them.
  - A timer of systemd on the same machine removes them in any case after O(lifetime), should the run that started
    them be interrupted. What an earlier interrupted run left is removed as well.
author:
  - The ovn_k8s.cluster authors (@ovn-k8s)
options:
  state:
    description: Start the pods, or remove them.
    type: str
    choices: [started, stopped]
    default: started
  namespace:
    description: A namespace that does not exist yet.
    type: str
    required: true
  nodes:
    description: Names of the Kubernetes nodes that run Linux.
    type: list
    elements: str
    default: []
  windows_nodes:
    description: Names of the Kubernetes nodes that run Windows.
    type: list
    elements: str
    default: []
  overlay_nodes:
    description: Those of O(windows_nodes) that are of the hybrid overlay; their pods have no logical port.
    type: list
    elements: str
    default: []
  windows_image:
    description: Image for the nodes that run Windows, with the same program.
    type: str
    default: localhost/netcheck:1
  image:
    description: Image that has the program C(netcheck) as its entry point and in its path.
    type: str
    default: localhost/netcheck:1
  port:
    description: Port that the pods answer on.
    type: int
    default: 8080
  timeout:
    description: Seconds to wait for the pods.
    type: int
    default: 60
  lifetime:
    description: Seconds after which the pods are removed whatever happens.
    type: int
    default: 180
  kubectl:
    description: The client on the machine.
    type: path
    default: /usr/local/bin/kubectl
  kubeconfig:
    description: Kubeconfig on the machine.
    type: path
    default: /etc/kubernetes/admin.kubeconfig
attributes:
  check_mode:
    support: none
    description: A verification has to start its pods.
  diff_mode:
    support: none
    description: There is nothing to compare.
  platform:
    support: full
    platforms: linux
    description: Runs where kubectl is.
"""

EXAMPLES = r"""
# On a master, which has kubectl and its kubeconfig.
- name: Start the pods
  ovn_k8s.cluster.verify_pods:
    namespace: ovn-k8s-verify-1
    nodes: [linux1, linux2]
  register: started

- name: Remove them again
  ovn_k8s.cluster.verify_pods:
    namespace: ovn-k8s-verify-1
    state: stopped
"""

RETURN = r"""
pods:
  description: The pods that run, with name, node, address, number, windows and overlay.
  returned: with O(state=started)
  type: list
  elements: dict
waiting:
  description: The pods that do not run, in the same form, without address.
  returned: with O(state=started)
  type: list
  elements: dict
service_ports:
  description: The node ports, by protocol, of the service that has all these pods as endpoints.
  returned: with O(state=started)
  type: dict
results:
  description: A line of the report for each pod.
  returned: with O(state=started)
  type: list
  elements: dict
gone:
  description: Whether the pods are gone already; the namespace goes soon in any case.
  returned: with O(state=stopped)
  type: bool
"""

import subprocess
from dataclasses import asdict
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.ovn_k8s.cluster.plugins.module_utils.verify.cluster_pods import (
    Kubectl,
    KubectlError,
    Workers,
    leftovers,
    service_ports,
    start,
    stop,
)


def reaper(namespace: str) -> str:
    """Name of the transient unit that removes the namespace in the end."""
    return f"{namespace}-reaper"


def arrange_removal(kubectl: Kubectl, namespace: str, lifetime: int) -> None:
    """Have systemd remove the namespace later, whatever becomes of us. Raises KubectlError."""
    command = [
        "systemd-run",
        f"--unit={reaper(namespace)}",
        f"--on-active={lifetime}s",
        "--quiet",
        kubectl.path,
        f"--kubeconfig={kubectl.kubeconfig}",
        "delete",
        "namespace",
        namespace,
        "--ignore-not-found",
        "--wait=false",
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise KubectlError(f"systemd-run does not arrange the pods' removal: {done.stderr.strip()}")


def dismiss(namespace: str) -> None:
    """The removal is done: take back what `arrange_removal` arranged."""
    subprocess.run(["systemctl", "stop", f"{reaper(namespace)}.timer"], capture_output=True, check=False)


def run(module: AnsibleModule) -> dict[str, Any]:
    options = module.params
    kubectl = Kubectl(options["kubectl"], options["kubeconfig"])
    namespace = options["namespace"]
    if options["state"] == "stopped":
        gone = stop(kubectl, namespace, options["timeout"])
        dismiss(namespace)
        return {"changed": True, "gone": gone}
    for old in leftovers(kubectl):
        kubectl.run("delete", "namespace", old, "--ignore-not-found", "--wait=false")
    arrange_removal(kubectl, namespace, options["lifetime"])
    names = ("nodes", "image", "windows_nodes", "windows_image", "overlay_nodes")
    workers = Workers(*(options[name] for name in names))
    pods, waiting, results = start(kubectl, namespace, workers, options["port"], options["timeout"])
    return {
        "changed": True,
        "pods": [asdict(pod) for pod in pods],
        "waiting": [asdict(pod) for pod in waiting],
        "service_ports": service_ports(kubectl, namespace),
        "results": [result.as_dict() for result in results],
    }


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "state": {"type": "str", "choices": ["started", "stopped"], "default": "started"},
            "namespace": {"type": "str", "required": True},
            "nodes": {"type": "list", "elements": "str", "default": []},
            "windows_nodes": {"type": "list", "elements": "str", "default": []},
            "overlay_nodes": {"type": "list", "elements": "str", "default": []},
            "windows_image": {"type": "str", "default": "localhost/netcheck:1"},
            "image": {"type": "str", "default": "localhost/netcheck:1"},
            "port": {"type": "int", "default": 8080},
            "timeout": {"type": "int", "default": 60},
            "lifetime": {"type": "int", "default": 180},
            "kubectl": {"type": "path", "default": "/usr/local/bin/kubectl"},
            "kubeconfig": {"type": "path", "default": "/etc/kubernetes/admin.kubeconfig"},
        },
    )
    try:
        module.exit_json(**run(module))
    except (KubectlError, ValueError) as error:
        module.fail_json(msg=f"the verification's pods cannot be {module.params['state']}: {error}")


if __name__ == "__main__":
    main()
