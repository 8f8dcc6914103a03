#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors

from __future__ import annotations

DOCUMENTATION = r"""
module: verify_network
short_description: Check the network from the pods and from the southbound database
version_added: 0.1.0
description:
  - Has the pods of a verification talk to each other, to the nodes, to the API server through its service address and
    to the outside, finds the largest packet between nodes, and compares chassis and port bindings with what should
    be.
  - Never fails because a check fails; M(ovn_k8s.cluster.verify_report) does that.
author:
  - The ovn_k8s.cluster authors (@ovn-k8s)
options:
  namespace:
    description: The pods' namespace.
    type: str
    required: true
  pods:
    description: The pods, as M(ovn_k8s.cluster.verify_pods) returns them.
    type: list
    elements: dict
    required: true
  waiting:
    description: The pods that were started and do not run; the southbound database may say why.
    type: list
    elements: dict
    default: []
  nodes:
    description:
      - The Linux nodes, each with C(name), C(address), C(mtu) (of its pods, or null) and C(serving) (whether the
        server of M(ovn_k8s.cluster.verify_node) runs there).
    type: list
    elements: dict
    required: true
  pod_port:
    description: Port that the pods answer on.
    type: int
    default: 8080
  node_port:
    description: Port that the servers on the nodes answer on.
    type: int
    default: 10270
  service_address:
    description: Address of the service C(kubernetes).
    type: str
    required: true
  external_address:
    description: An address outside whose HTTP server says from where it is asked. Empty leaves the check out.
    type: str
    default: ''
  external_port:
    description: Port of that server.
    type: int
    default: 8080
  external_sources:
    description: The addresses that are right for the outside to see. Empty accepts any.
    type: list
    elements: str
    default: []
  encapsulation:
    description: Tunnel type that the chassis should have.
    type: str
    default: geneve
  southbound:
    description: The southbound database.
    type: str
    default: unix:/run/ovn/ovnsb_db.sock
  attempts:
    description: How often one conversation is tried; the first packet to a new place may be lost.
    type: int
    default: 4
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
    description: It needs the verification's pods.
  diff_mode:
    support: none
    description: There is nothing to compare.
  platform:
    support: full
    platforms: linux
    description: Runs on a master.
"""

EXAMPLES = r"""
# On a master, which has kubectl and the southbound database.
- name: Start the pods
  ovn_k8s.cluster.verify_pods:
    namespace: ovn-k8s-verify-1
    nodes: [linux1, linux2]
  register: started

- name: Check the network
  ovn_k8s.cluster.verify_network:
    namespace: ovn-k8s-verify-1
    pods: "{{ started.pods }}"
    nodes:
      - name: linux1
        address: 192.0.2.12
        mtu: 1400
        serving: false
    service_address: 10.96.0.1
"""

RETURN = r"""
results:
  description: A line of the report for each check.
  returned: always
  type: list
  elements: dict
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.ovn_k8s.cluster.plugins.module_utils.ovsdb.client import Client
from ansible_collections.ovn_k8s.cluster.plugins.module_utils.ovsdb.errors import OvsdbError
from ansible_collections.ovn_k8s.cluster.plugins.module_utils.ovsdb.remote import parse_remotes
from ansible_collections.ovn_k8s.cluster.plugins.module_utils.verify.cluster_pods import Kubectl, ask_all
from ansible_collections.ovn_k8s.cluster.plugins.module_utils.verify.expectations import (
    Node,
    Pod,
    Surroundings,
    judge,
    pod_probes,
    skipped,
)
from ansible_collections.ovn_k8s.cluster.plugins.module_utils.verify.results import FAILED, Result
from ansible_collections.ovn_k8s.cluster.plugins.module_utils.verify.southbound import TABLES, check_southbound


def from_pods(kubectl: Kubectl, namespace: str, here: Surroundings) -> list[Result]:
    """Everything that pods are asked to try."""
    probes = pod_probes(here)
    commands = {pod: [command for probe in asked for command in probe.commands] for pod, asked in probes.items()}
    answers = ask_all(kubectl, namespace, commands)
    labels = {pod.name: (pod.label, pod.node) for pod in here.pods}
    results = []
    for pod, asked in probes.items():
        if not asked:
            continue
        answer = answers[pod]
        if isinstance(answer, str):
            label, node = labels[pod]
            hint = f"the API server must reach the kubelet of {node} (port 10250); journalctl -u kubelet there"
            results.append(Result("kubectl exec", "API server", label, FAILED, answer, hint))
            continue
        place = 0
        for probe in asked:
            results.append(judge(probe, answer[place : place + len(probe.commands)]))
            place += len(probe.commands)
    return results + skipped(here)


def from_southbound(
    remote: str, nodes: list[Node], pods: list[Pod], namespace: str, encapsulation: str
) -> list[Result]:
    """What the southbound database says."""
    try:
        with Client(parse_remotes(remote), "OVN_Southbound", timeout=10) as client:
            return check_southbound(client.snapshot(TABLES), nodes, pods, namespace, encapsulation)
    except (OvsdbError, ValueError) as error:
        hint = "on the master: systemctl status ovn-ovsdb-server-sb; journalctl -u ovn-central"
        return [Result("chassis", "master", "southbound database", FAILED, str(error), hint)]


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "namespace": {"type": "str", "required": True},
            "pods": {"type": "list", "elements": "dict", "required": True},
            "waiting": {"type": "list", "elements": "dict", "default": []},
            "nodes": {"type": "list", "elements": "dict", "required": True},
            "pod_port": {"type": "int", "default": 8080},
            "node_port": {"type": "int", "default": 10270},
            "service_address": {"type": "str", "required": True},
            "external_address": {"type": "str", "default": ""},
            "external_port": {"type": "int", "default": 8080},
            "external_sources": {"type": "list", "elements": "str", "default": []},
            "encapsulation": {"type": "str", "default": "geneve"},
            "southbound": {"type": "str", "default": "unix:/run/ovn/ovnsb_db.sock"},
            "attempts": {"type": "int", "default": 4},
            "kubectl": {"type": "path", "default": "/usr/local/bin/kubectl"},
            "kubeconfig": {"type": "path", "default": "/etc/kubernetes/admin.kubeconfig"},
        },
    )
    options = module.params
    pods, waiting = (
        [
            Pod(
                item["name"],
                item["node"],
                item["address"],
                int(item["number"]),
                windows=bool(item.get("windows")),
                overlay=bool(item.get("overlay")),
            )
            for item in options[key]
        ]
        for key in ("pods", "waiting")
    )
    nodes = [
        Node(item["name"], item["address"], int(item["mtu"]) if item.get("mtu") else None) for item in options["nodes"]
    ]
    here = Surroundings(
        pods=pods,
        nodes=nodes,
        pod_port=options["pod_port"],
        node_port=options["node_port"],
        node_servers=frozenset(item["name"] for item in options["nodes"] if item.get("serving")),
        service_address=options["service_address"],
        external_address=options["external_address"],
        external_port=options["external_port"],
        external_sources=tuple(options["external_sources"]),
        attempts=options["attempts"],
    )
    kubectl = Kubectl(options["kubectl"], options["kubeconfig"])
    results = from_pods(kubectl, options["namespace"], here)
    results += from_southbound(
        options["southbound"], nodes, pods + waiting, options["namespace"], options["encapsulation"]
    )
    module.exit_json(changed=False, results=[result.as_dict() for result in results])


if __name__ == "__main__":
    main()
