#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors

from __future__ import annotations

DOCUMENTATION = r"""
module: verify_node
short_description: Check a node's side of the pod network
version_added: 0.1.0
description:
  - Starts a small server on the node that pods can talk to (a transient systemd unit without privileges, which ends
    by itself), talks to every given pod over TCP and UDP, and compares the node's port and routes with its settings.
author:
  - The ovn_k8s.cluster authors (@ovn-k8s)
options:
  state:
    description: Start the server and check, or stop the server.
    type: str
    choices: [started, stopped]
    default: started
  node:
    description: Name of the node.
    type: str
    required: true
  address:
    description: The node's own address; the server listens there.
    type: str
    default: ''
  port:
    description: Port of the server.
    type: int
    default: 10270
  pods:
    description: The pods to talk to, as M(ovn_k8s.cluster.verify_pods) returns them.
    type: list
    elements: dict
    default: []
  pod_port:
    description: Port that the pods answer on.
    type: int
    default: 8080
  nodes:
    description: All Linux nodes, with name and address. The next one after this is asked for O(service_ports).
    type: list
    elements: dict
    default: []
  service_ports:
    description: The node ports of the pods' service, as M(ovn_k8s.cluster.verify_pods) returns them.
    type: dict
    default: {}
  attempts:
    description: How often one conversation is tried.
    type: int
    default: 4
  lifetime:
    description: Seconds after which the server ends whatever happens.
    type: int
    default: 180
  settings:
    description: The node's settings.
    type: path
    default: /etc/ovn-k8s/node.toml
attributes:
  check_mode:
    support: none
    description: A verification has to start its server.
  diff_mode:
    support: none
    description: There is nothing to compare.
  platform:
    support: full
    platforms: linux
    description: Needs systemd.
"""

EXAMPLES = r"""
- name: Start the pods
  ovn_k8s.cluster.verify_pods:
    namespace: ovn-k8s-verify-1
    nodes: [linux1, linux2]
  register: started
  delegate_to: master
  run_once: true

- name: Check the node
  ovn_k8s.cluster.verify_node:
    node: linux1
    address: 192.0.2.12
    pods: "{{ started.pods }}"

- name: Stop the node's server
  ovn_k8s.cluster.verify_node:
    node: linux1
    state: stopped
"""

RETURN = r"""
results:
  description: A line of the report for each check.
  returned: with O(state=started)
  type: list
  elements: dict
serving:
  description: Whether the server runs.
  returned: with O(state=started)
  type: bool
mtu:
  description: MTU of the node's pods, by its settings; null when it does not say.
  returned: with O(state=started)
  type: int
"""

import inspect
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.ovn_k8s.cluster.plugins.module_utils.verify import echo_server
from ansible_collections.ovn_k8s.cluster.plugins.module_utils.verify.dialogue import ask, ask_many
from ansible_collections.ovn_k8s.cluster.plugins.module_utils.verify.expectations import Pod, Probe, judge, partners
from ansible_collections.ovn_k8s.cluster.plugins.module_utils.verify.node_state import (
    NodeSettings,
    check_routes,
    interface_address,
    interface_mtu,
    parse_routes,
    read_settings,
)
from ansible_collections.ovn_k8s.cluster.plugins.module_utils.verify.results import FAILED, Result

UNIT = "ovn-k8s-verify-server.service"
FOLDER = Path("/run/ovn-k8s-verify")


def stop_server() -> None:
    subprocess.run(["systemctl", "stop", UNIT], capture_output=True, check=False)
    subprocess.run(["systemctl", "reset-failed", UNIT], capture_output=True, check=False)
    shutil.rmtree(FOLDER, ignore_errors=True)


def start_server(node: str, address: str, port: int, lifetime: int) -> str:
    """Returns why it does not run, or nothing."""
    stop_server()
    FOLDER.mkdir(mode=0o755)
    program = FOLDER / "echo_server.py"
    program.write_text(inspect.getsource(echo_server), encoding="utf-8")
    command = [
        "systemd-run",
        f"--unit={UNIT}",
        "--quiet",
        "--collect",
        f"--property=RuntimeMaxSec={lifetime}",
        "--property=DynamicUser=yes",
        f"--property=ExecStopPost=+/bin/rm -rf {FOLDER}",
        "--description=Server of the ovn_k8s verification",
        *("/usr/bin/python3", "-I", str(program), node, address, str(port)),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        return done.stderr.strip()
    deadline = time.monotonic() + 5
    while not ask("tcp", address, port, attempts=1)["ok"]:
        if time.monotonic() > deadline:
            journal = subprocess.run(
                ["journalctl", "--no-pager", "--output=cat", "--lines=1", f"--unit={UNIT}"],
                capture_output=True,
                text=True,
                check=False,
            )
            return journal.stdout.strip() or f"nothing listens on {address}:{port}"
        time.sleep(0.1)
    return ""


def talk_to_pods(
    node: str, address: str, pods: list[Pod], port: int, attempts: int, settings: NodeSettings | None
) -> list[Result]:
    """TCP and UDP with a pod of each worker; it should see the node's own port, on the same node the node's address."""
    near = {node, *partners([node, *sorted({pod.node for pod in pods} - {node})])[node]}
    pods = [pod for pod in pods if pod.number == 0 and pod.node in near]
    asked = ask_many([(protocol, pod.address, port) for pod in pods for protocol in ("tcp", "udp")], attempts)
    results = []
    for place, pod in enumerate(pods):
        probe = Probe(
            "node to pod",
            node,
            pod.label,
            "dialogue",
            (("tcp",), ("udp",)),
            hostname=pod.name,
            clients=(address if pod.node == node else str(settings.address),) if settings else (),
            hint=f"on {node}: ip route get {pod.address}; ovs-vsctl show; journalctl -u ovn-controller",
        )
        results.append(judge(probe, asked[2 * place : 2 * place + 2]))
    return results


def ask_for_node_ports(node: str, nodes: list[dict[str, Any]], ports: dict[str, Any], attempts: int) -> list[Result]:
    """TCP and UDP with node ports of the next node, as a machine outside the cluster asks for them."""
    names = [item["name"] for item in nodes]
    if not ports or node not in names or len(names) < 2:
        return []
    target = nodes[(names.index(node) + 1) % len(nodes)]
    hint = (
        f"on {target['name']}: nft list table ip ovn_k8s_node, and its firewall; systemctl restart ovn-k8s-overlay; "
        "on the master: ovn-nbctl lb-list; journalctl -u ovn-k8s-watcher"
    )
    probe = Probe("node port", node, target["name"], "dialogue", (("tcp",), ("udp",)), hint=hint)
    asked = ask_many([(name, target["address"], int(ports[name])) for name in ("tcp", "udp")], attempts)
    return [judge(probe, asked)]


def check(module: AnsibleModule) -> dict[str, Any]:
    options = module.params
    node = options["node"]
    results: list[Result] = []
    settings = None
    trouble = start_server(node, options["address"], options["port"], options["lifetime"])
    if trouble:
        hint = f"is port {options['port']} of {options['address']} free on {node}? verify_node_port chooses another"
        results.append(Result("pod to node", "pods", node, FAILED, f"the server does not start: {trouble}", hint))
    try:
        settings = read_settings(options["settings"])
        routes = parse_routes(Path("/proc/net/route").read_text(encoding="ascii"))
        interface = settings.interface
        results.append(check_routes(node, settings, routes, interface_address(interface), interface_mtu(interface)))
    except (OSError, ValueError, KeyError) as error:
        hint = "run site.yml for this node"
        results.append(Result("routes", node, options["settings"], FAILED, f"cannot be read: {error}", hint))
    pods = [Pod(item["name"], item["node"], item["address"], int(item["number"])) for item in options["pods"]]
    results += talk_to_pods(node, options["address"], pods, options["pod_port"], options["attempts"], settings)
    if pods:  # which are the endpoints
        results += ask_for_node_ports(node, options["nodes"], options["service_ports"], options["attempts"])
    return {
        "changed": True,
        "results": [result.as_dict() for result in results],
        "serving": not trouble,
        "mtu": settings.mtu if settings else None,
    }


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "state": {"type": "str", "choices": ["started", "stopped"], "default": "started"},
            "node": {"type": "str", "required": True},
            "address": {"type": "str", "default": ""},
            "port": {"type": "int", "default": 10270},
            "pods": {"type": "list", "elements": "dict", "default": []},
            "pod_port": {"type": "int", "default": 8080},
            "nodes": {"type": "list", "elements": "dict", "default": []},
            "service_ports": {"type": "dict", "default": {}},
            "attempts": {"type": "int", "default": 4},
            "lifetime": {"type": "int", "default": 180},
            "settings": {"type": "path", "default": "/etc/ovn-k8s/node.toml"},
        },
    )
    if module.params["state"] == "stopped":
        stop_server()
        module.exit_json(changed=True)
    try:
        module.exit_json(**check(module))
    except OSError as error:
        module.fail_json(msg=f"{module.params['node']} cannot be checked: {error}")


if __name__ == "__main__":
    main()
