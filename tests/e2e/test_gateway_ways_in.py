# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""Who reaches a service at the gateway, and as whom pods leave by it: packets of pods, the node and the internet."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator

import pytest

from .conftest import LAB_NAME, Lab

GATEWAY, INTERNET = "192.0.2.2", "192.0.2.1"
BALANCER, EXTERNAL, EGRESS = "192.0.2.90", "192.0.2.91", "192.0.2.92"
NODE_PORT, WINDOWS_NODE_PORT = 30480, 30481
SPACE = "gateway-ways"
WAYS = {"NodePort": (GATEWAY, NODE_PORT), "LoadBalancer": (BALANCER, 80), "externalIPs": (EXTERNAL, 80)}
ASK = """
import socket, sys
host, port, kind = sys.argv[1], int(sys.argv[2]), sys.argv[3]
with socket.socket(socket.AF_INET, socket.SOCK_STREAM if kind == "tcp" else socket.SOCK_DGRAM) as client:
    client.settimeout(2)
    client.connect((host, port))
    client.send(b"who\\n")
    print(client.recv(4096).decode())
"""


@pytest.fixture(scope="module")
def ways(cluster: Lab) -> Iterator[Lab]:
    """A cluster with a server on one node, a client on the other, and a service with all kinds of outside addresses."""
    lab = cluster
    container = {"name": "c", "image": "localhost/netcheck:1", "imagePullPolicy": "IfNotPresent", "args": ["serve"]}
    pods = [
        {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": name, "namespace": SPACE, "labels": {"app": name}},
            "spec": {"nodeName": node, "terminationGracePeriodSeconds": 0, "containers": [container]},
        }
        for name, node in (("server", "linux1"), ("client", "linux2"), ("windows", "win1"))
    ]

    def ports(number: int) -> list[dict[str, object]]:
        common = {"port": 80, "targetPort": 8080, "nodePort": number}
        return [{"name": name, "protocol": name.upper(), **common} for name in ("tcp", "udp")]

    of_windows = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "windows", "namespace": SPACE},
        "spec": {"type": "NodePort", "selector": {"app": "windows"}, "ports": ports(WINDOWS_NODE_PORT)},
    }
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "server", "namespace": SPACE},
        "spec": {
            "type": "LoadBalancer",
            "externalTrafficPolicy": "Local",
            "externalIPs": [EXTERNAL],
            "selector": {"app": "server"},
            "ports": ports(NODE_PORT),
        },
    }
    space = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": SPACE}}
    document = json.dumps({"apiVersion": "v1", "kind": "List", "items": [space, *pods, service, of_windows]})
    lab.kubectl("apply", "-f", "-", stdin=document)
    try:
        lab.kubectl("-n", SPACE, "wait", "--for=condition=Ready", "pod", "--all", "--timeout=60s", seconds=90)
        status = json.dumps({"status": {"loadBalancer": {"ingress": [{"ip": BALANCER}]}}})
        lab.kubectl("-n", SPACE, "patch", "service", "server", "--subresource=status", "--type=merge", "-p", status)
        yield lab
    finally:
        lab.kubectl("delete", "namespace", SPACE, "--wait=false")


def from_internet(lab: Lab, protocol: str, address: str, port: int) -> str:
    words = ["ip", "netns", "exec", f"{LAB_NAME}-internet", sys.executable, "-c", ASK, address, str(port), protocol]
    done = subprocess.run(words, capture_output=True, text=True, timeout=20, check=False)
    return str(json.loads(done.stdout)["client_ip"]) if done.returncode == 0 else ""


def from_node(lab: Lab, protocol: str, address: str, port: int) -> str:
    done = lab.command("ssh", "gw", "python3", "-", address, str(port), protocol, stdin=ASK, seconds=30)
    return str(json.loads(done.stdout)["client_ip"]) if done.returncode == 0 else ""


def from_pod(lab: Lab, protocol: str, address: str, port: int) -> str:
    words = ("kubectl", "-n", SPACE, "exec", "client", "--", "netcheck", "check", "--timeout=2s", protocol, address)
    done = lab.command("exec", *words, str(port), seconds=30)
    return str(json.loads(done.stdout)["answer"]["client_ip"]) if done.returncode == 0 else ""


def soon(probe: Callable[[], str], seconds: float = 20) -> str:
    """The first answer that is not empty; empty when there is none in time."""
    deadline = time.monotonic() + seconds
    while not (answer := probe()) and time.monotonic() < deadline:
        time.sleep(0.5)
    return answer


@pytest.mark.parametrize("protocol", ["tcp", "udp"])
@pytest.mark.parametrize("way", WAYS)
def test_who_reaches_a_service(ways: Lab, way: str, protocol: str) -> None:
    """From the internet and from a pod, each seen with its own address, and from the gateway's own processes."""
    address, port = WAYS[way]
    assert soon(lambda: from_internet(ways, protocol, address, port)) == INTERNET
    own = json.loads(ways.kubectl("-n", SPACE, "get", "pod", "client", "-o", "json"))["status"]["podIP"]
    assert soon(lambda: from_pod(ways, protocol, address, port)) == own
    assert soon(lambda: from_node(ways, protocol, address, port)), "the gateway itself"


@pytest.mark.parametrize("protocol", ["tcp", "udp"])
def test_who_reaches_a_service_of_windows_pods(ways: Lab, protocol: str) -> None:
    """The gateway's address is the client then: what a Windows node answers to the world would leave by its own way."""
    for ask in (from_internet, from_pod, from_node):
        assert soon(lambda a=ask: a(ways, protocol, GATEWAY, WINDOWS_NODE_PORT)), ask.__name__  # type: ignore[misc]


def test_a_namespace_leaves_with_an_address_of_its_own(ways: Lab) -> None:
    def seen(wanted: str) -> str:
        return wanted if from_pod(ways, "tcp", "198.51.100.1", 8080) == wanted else ""

    assert soon(lambda: seen(GATEWAY)), "as everybody"
    ways.kubectl("annotate", "namespace", SPACE, f"ovn.ovn-k8s.io/egress-ip={EGRESS}")
    assert soon(lambda: seen(EGRESS)), "with the address of the annotation"
    ways.kubectl("annotate", "namespace", SPACE, "ovn.ovn-k8s.io/egress-ip-")
    assert soon(lambda: seen(GATEWAY)), "as everybody again"
