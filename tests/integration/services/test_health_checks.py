# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""What a load balancer in front of the nodes hears when it asks whether a node has endpoints of a service."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import pytest
from service_rig import Place, Rig
from small_ovn import eventually

AGENT = """
import sys, threading
from ipaddress import IPv4Address
from ovn_k8s.node.local_endpoints import LocalEndpoints
LocalEndpoints(IPv4Address(sys.argv[1])).start()
print("ready", flush=True)
threading.Event().wait()
"""
CLIENT = """
import sys
from http.client import HTTPConnection
connection = HTTPConnection(sys.argv[1], int(sys.argv[2]), timeout=2)
try:
    connection.request("GET", "/healthz")
    answer = connection.getresponse()
    print(answer.status, bool(answer.read()))
except OSError as error:
    print(type(error).__name__)
"""


@pytest.fixture
def agents(rig: Rig) -> Iterator[None]:
    """What `ovn-k8s-node` answers with, on n1 and n2. A gateway has none."""
    started = []
    try:
        for name in ("n1", "n2"):
            command = ["nsenter", f"--net=/run/netns/{rig.nodes[name].netns}", sys.executable, "-c", AGENT]
            process = subprocess.Popen([*command, rig.chassis[name].address], stdout=subprocess.PIPE, text=True)
            started.append(process)
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
        yield
    finally:
        for process in started:
            process.kill()
            process.wait(10)


def test_each_node_says_whether_it_has_a_ready_endpoint(rig: Rig, agents: None) -> None:
    rig.service("checked", "checked", type="LoadBalancer", externalTrafficPolicy="Local")
    port = rig.objects.get("services", "checked")["spec"]["healthCheckNodePort"]
    rig.pod("checked", "n1", "checked")

    def says(node: str, place: Place = rig.neighbour) -> str:
        return place.run(sys.executable, "-IS", "-c", CLIENT, rig.chassis[node].address, str(port)).strip()

    def all_say(wanted: dict[str, str]) -> None:
        eventually(lambda: {node: says(node) for node in wanted} == wanted, f"{wanted}")

    try:
        all_say({"n1": "200 True", "n2": "503 True", "gw": "ConnectionRefusedError"})
        assert says("n1", rig.nodes["n2"]) == says("n1", rig.nodes["n1"]) == "200 True"
        rig.report("checked", ready=False)
        all_say({"n1": "503 True", "n2": "503 True"})
    finally:
        rig.delete("checked")
        rig.objects.delete("pods", "checked")
