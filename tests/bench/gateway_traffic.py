# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""A gateway that shares its NIC: throughput of pods against the node's own, node ports, and flows with many services.

Runs on a real OVN in network namespaces of its own (userspace datapath); one JSON object a line.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "integration" / "gateway"))

import rig

ROUNDS, SECONDS = 9, 1.5
CONNECTIONS = 500
SERVICES, CHUNK = 10_000, 500
SINK_PORT, BACKEND_PORT, NODE_PORT = 9100, 9101, 30080

# More room than there are connections: a first packet that is dropped is another measurement (docs/services.md).
SINK = """
import socket,sys,threading
def drain(c):
    while c.recv(1<<18): pass
s=socket.create_server((sys.argv[1],int(sys.argv[2])),backlog=1024)
while True: threading.Thread(target=drain,args=(s.accept()[0],),daemon=True).start()
"""
SEND = """
import socket,sys,time
s=socket.create_connection((sys.argv[1],int(sys.argv[2])),10)
data=bytes(1<<17); sent=0; began=time.monotonic(); end=began+float(sys.argv[3])
while time.monotonic()<end: sent+=s.send(data)
s.shutdown(socket.SHUT_WR); s.recv(1)
print(sent*8/(time.monotonic()-began)/1e6)
"""
CONNECT = """
import json,socket,sys,time
times=[]
for _ in range(int(sys.argv[3])):
    began=time.monotonic(); socket.create_connection((sys.argv[1],int(sys.argv[2])),10).close()
    times.append((time.monotonic()-began)*1000)
print(json.dumps(times))
"""


def report(name: str, value: float, unit: str) -> None:
    print(json.dumps({"name": name, "value": round(value, 2), "unit": unit}), flush=True)


def program(gateway: rig.Gateway, namespace: str, source: str, *arguments: str) -> subprocess.Popen[bytes]:
    return gateway.spawn(namespace, sys.executable, "-c", source, *arguments)


def output(process: subprocess.Popen[bytes]) -> str:
    text, _ = process.communicate(timeout=120)
    if process.returncode:
        raise SystemExit(text.decode())
    return text.decode()


def throughput(gateway: rig.Gateway) -> None:
    """Node and pod in turn, so that both see the same machine; the ratio is the median of those of each turn.

    What else the machine does changes faster than the measurement takes: medians of each side are of different times.
    """
    program(gateway, gateway.internet, SINK, rig.INTERNET, str(SINK_PORT))
    time.sleep(1)
    found: dict[str, list[float]] = {gateway.node.netns: [], gateway.pod: []}
    for _ in range(ROUNDS):
        for namespace, values in found.items():
            process = program(gateway, namespace, SEND, rig.INTERNET, str(SINK_PORT), str(SECONDS))
            values.append(float(output(process)))
    node, pod = found.values()
    report("gateway_node_throughput", statistics.median(node), "Mbit/s")
    report("gateway_pod_throughput", statistics.median(pod), "Mbit/s")
    ratios = [of_pod / of_node for of_node, of_pod in zip(node, pod, strict=True)]
    report("gateway_throughput_ratio", statistics.median(ratios), "ratio")


def node_port(gateway: rig.Gateway) -> None:
    """TCP connections from outside to a node port, one after the other."""
    program(gateway, gateway.pod, SINK, "0.0.0.0", str(BACKEND_PORT))
    address = str(rig.ADDRESS.ip)
    backend = f"{rig.POD}:{BACKEND_PORT}"
    gateway.ovn.nbctl("lb-add", "np", f"{address}:{NODE_PORT}", backend, "tcp", "--", "lr-lb-add", "GR_gw", "np")
    time.sleep(2)
    text = output(program(gateway, gateway.internet, CONNECT, address, str(NODE_PORT), str(CONNECTIONS)))
    times = sorted(json.loads(text))
    report("gateway_nodeport_connect_p50_ms", times[len(times) // 2], "ms")
    report("gateway_nodeport_connect_p99_ms", times[int(len(times) * 0.99)], "ms")


def flows(gateway: rig.Gateway, helper: rig.Helper) -> None:
    """Flows on the bridge with 10 000 services in the northbound database; node ports are a range of ports there."""
    report("gateway_flows_no_services", len(helper.flows()), "flows")
    for first in range(0, SERVICES, CHUNK):
        words: list[str] = []
        for number in range(first, first + CHUNK):
            vip = f"10.{96 + (number >> 16)}.{number >> 8 & 255}.{number & 255}:80"
            words += ["--", "lb-add", f"s{number}", vip, f"{rig.POD}:{BACKEND_PORT}", "tcp"]
        gateway.ovn.nbctl(*words[1:])
    time.sleep(3)
    report("gateway_flows_10k_services", len(helper.flows()), "flows")


def main() -> int:
    if reason := rig.missing():
        print(f"gateway_traffic: {reason}", file=sys.stderr)
        return 1
    gateway = rig.Gateway()
    try:
        gateway.start()
        helper = rig.Helper(gateway)
        helper.start()
        helper.wait_ready()
        throughput(gateway)
        node_port(gateway)
        flows(gateway, helper)
    finally:
        gateway.stop()
    return 0


if __name__ == "__main__":
    sys.exit(main())
