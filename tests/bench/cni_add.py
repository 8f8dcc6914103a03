# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""How long a pod waits for its network: the CNI executable's ADD, for 30 pods one after the other.

By default on the running lab's linux1; with `--local` on a small OVN on this machine. The logical ports are there
before, as they are when the watcher is quicker than kubelet; each figure is a whole process, from start to exit.
"""

from __future__ import annotations

import argparse
import base64
import json
import math
import subprocess
import sys
import uuid
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
TREE = HERE.parent.parent
CONFIG = {"cniVersion": "1.0.0", "name": "ovn-k8s", "type": "ovn-k8s-cni"}
NAMESPACE = "cni-bench"


def percentile(values: list[float], share: float) -> float:
    """The smallest value that is not exceeded by `share` of all."""
    return sorted(values)[math.ceil(share * len(values)) - 1]


def new_pods(count: int) -> list[dict[str, str]]:
    return [{"namespace": NAMESPACE, "name": f"pod-{n}", "uid": str(uuid.uuid4())} for n in range(count)]


def port_arguments(node: str, subnet: str, pods: list[dict[str, str]], first_host: int) -> list[str]:
    """Arguments of one ovn-nbctl that adds the pods' logical ports, as the watcher would."""
    base = subnet.rpartition("/")[0].rpartition(".")[0]
    arguments: list[str] = []
    for host, pod in enumerate(pods, first_host):
        address, port = f"{base}.{host}", f"{NAMESPACE}_{pod['name']}"
        mac = "0a:58:" + ":".join(f"{int(octet):02x}" for octet in address.split("."))
        ids = {
            "ovn-k8s-owner": "bench",  # not the watcher's, which removes ports of pods that the API does not know
            "pod_uid": pod["uid"],
            "ip_address": f"{address}/24",
            "gateway_ip": f"{base}.1",
            "mac_address": mac,
        }
        arguments += ["--", "lsp-add", node, port, "--", "lsp-set-addresses", port, f"{mac} {address}"]
        arguments += ["--", "set", "logical_switch_port", port, *(f'external_ids:{k}="{v}"' for k, v in ids.items())]
    return arguments[1:]


def removal_arguments(pods: list[dict[str, str]]) -> list[str]:
    arguments: list[str] = []
    for pod in pods:
        arguments += ["--", "--if-exists", "lsp-del", f"{NAMESPACE}_{pod['name']}"]
    return arguments[1:]


def ssh(machine: str, *words: str) -> str:
    """Run a command on a machine of the lab; its standard output."""
    # One word that the far side unpacks: nothing in it can be taken for shell syntax on the way.
    packed = base64.b64encode(json.dumps(words).encode()).decode()
    start = f"import base64,json,os;w=json.loads(base64.b64decode('{packed}'));os.execvp(w[0],w)"
    command = [sys.executable, "-m", "lab", "ssh", machine, f'python3 -c "{start}"']
    done = subprocess.run(command, cwd=TREE, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{machine}: {' '.join(words)[:80]}: {done.stderr or done.stdout}")
    return done.stdout


def in_lab(node: str, pods: list[dict[str, str]]) -> dict[str, list[float]]:
    """Measure on a node of the running lab."""
    subnet = ssh("master", "ovn-nbctl", "get", "logical_switch", node, "other_config:subnet").strip().strip('"')
    ssh("master", "ovn-nbctl", "--wait=sb", *port_arguments(node, subnet, pods, 200))
    try:
        task = {"command": ["/opt/cni/bin/ovn-k8s-cni"], "config": CONFIG, "pods": pods}
        script = (HERE / "cni_node_side.py").read_text()
        result: dict[str, list[float]] = json.loads(ssh(node, "python3", "-c", script, json.dumps(task)))
        return result
    finally:
        ssh("master", "ovn-nbctl", *removal_arguments(pods))


def on_this_machine(pods: list[dict[str, str]]) -> dict[str, list[float]]:
    """Measure on a small OVN that is made for it and removed again."""
    sys.path.insert(0, str(TREE / "tests/integration/node"))
    import cni_caller as caller  # noqa: PLC0415
    import small_ovn  # noqa: PLC0415

    if reason := small_ovn.missing():
        sys.exit(reason)
    ovn = small_ovn.SmallOvn()
    try:
        ovn.start()
        node = ovn.add_node("node1")
        small_ovn.eventually(lambda: "br-int" in node.vsctl("list-br"), "br-int exists")
        agent = caller.Agent(node)
        state = str(node.directory / "host-state.json")
        node.enter(sys.executable, "-m", "ovn_k8s.overlay", "apply", "--config", str(agent.config), "--state", state)
        agent.start()
        ovn.nbctl("--wait=sb", *port_arguments(node.name, node.subnet, pods, 100))
        shim = str(TREE / "src/ovn_k8s/cni/shim.py")
        task: dict[str, Any] = {
            "command": [shim],
            "config": CONFIG | {"socket": str(agent.socket)},
            "pods": pods,
        }
        output = node.enter(sys.executable, str(HERE / "cni_node_side.py"), json.dumps(task))
        result: dict[str, list[float]] = json.loads(output)
        return result
    finally:
        ovn.stop()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--local", action="store_true", help="a small OVN on this machine instead of the lab")
    parser.add_argument("--node", default="linux1", help="node of the lab (default: %(default)s)")
    parser.add_argument("--pods", type=int, default=30, help="default: %(default)s; at most 50")
    options = parser.parse_args()
    pods = new_pods(min(options.pods, 50))
    measured = on_this_machine(pods) if options.local else in_lab(options.node, pods)
    for verb in ("add", "del"):
        for share in (50, 99):
            value = round(percentile(measured[f"{verb}_ms"], share / 100), 1)
            print(json.dumps({"name": f"cni_{verb}_p{share}_ms", "value": value, "unit": "ms"}), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
