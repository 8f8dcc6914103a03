# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""Services with real packets, one test per promise: from the API through the watcher and OVN to an answer."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest
from control_plane import slice_document
from service_rig import GATEWAY, IN_SUBNET, INTERNET, NEXTHOP, ROUTED, Conversation, Rig
from small_ovn import eventually

ALL = {"a", "b", "c"}
TCP = {"name": "tcp", "port": 80, "targetPort": 8080}
UDP = {"name": "udp", "port": 80, "targetPort": 8080, "protocol": "UDP"}
SCTP = {"name": "sctp", "port": 8080, "targetPort": 8080, "protocol": "SCTP"}
"""Of SCTP, the userspace datapath translates the addresses only."""


@pytest.fixture(autouse=True)
def clean(rig: Rig) -> Iterator[None]:
    """Each test makes its own services."""
    yield
    rig.delete("web", "other")
    eventually(lambda: not rig.vips("web") and not rig.vips("other"), "services are gone")


def patch(rig: Rig, name: str, **spec: Any) -> None:
    """Change a service."""
    rig.objects.api.merge_patch(rig.objects.path("services", name), {"spec": spec})


def all_answer(rig: Rig, address: str, port: int, protocol: str) -> None:
    """At a gateway, where of the first connections to an endpoint a packet may get lost, which OVN makes a refusal."""
    eventually(lambda: rig.internet.names(address, port, protocol, 24) == ALL, f"all pods answer at {address}:{port}")


@pytest.mark.parametrize("port", [TCP, UDP, SCTP], ids=lambda port: port["name"])
def test_cluster_addresses(rig: Rig, port: dict[str, Any]) -> None:
    address = rig.service("web", "web", port)
    rig.wait("web", *ALL)
    client = rig.pods["client"]
    if port is SCTP:  # one port of the client only, so one endpoint; the first packet may come before a neighbour
        eventually(lambda: client.ask(address, 8080, "sctp") in ALL, "an endpoint answers")
        return
    assert client.names(address, 80, port["name"], 24) == ALL
    assert client.ask(address, 80, port["name"]).endswith(f" {rig.address('client')}")


def test_several_ports_and_target_ports_by_name(rig: Rig) -> None:
    """Pod a calls another port `http` than the others do."""
    address = rig.service("web", "web", TCP, UDP, {"name": "named", "port": 81, "targetPort": "http"})
    rig.wait("web", *ALL)
    client = rig.pods["client"]
    for port, protocol in ((80, "tcp"), (80, "udp"), (81, "tcp")):
        assert client.names(address, port, protocol, 24) == ALL
    patch(rig, "web", ports=[{"name": "other", "port": 82, "targetPort": 8081}])
    eventually(lambda: client.ask(address, 82) != "silence", "the new port answers")
    assert client.names(address, 82) == ALL
    eventually(lambda: client.ask(address, 80) == "silence", "the old one does not")


def test_a_client_stays_with_its_endpoint_for_the_timeout(rig: Rig) -> None:
    affinity = {"clientIP": {"timeoutSeconds": 4}}
    address = rig.service("web", "web", TCP, sessionAffinity="ClientIP", sessionAffinityConfig=affinity)
    rig.wait("web", *ALL)
    client = rig.pods["client"]
    seen: set[str] = set()
    for _ in range(6):
        eventually(lambda: client.ask(address, 80).split(" ")[0] in ALL, "an endpoint answers")
        first = client.ask(address, 80)
        time.sleep(0.5)  # a datapath forgets the flow of before that was any endpoint's
        assert {client.ask(address, 80) for _ in range(8)} == {first}
        seen.add(first)
        time.sleep(5)
    assert len(seen) > 1, "the endpoint never changes after the timeout"
    patch(rig, "web", sessionAffinity="None")
    eventually(lambda: len(client.names(address, 80)) > 1, "without affinity any answers")


def test_endpoints_that_are_not_ready_and_publish_not_ready_addresses(rig: Rig) -> None:
    address = rig.service("web", "web", TCP)
    rig.wait("web", *ALL)
    rig.report("a", ready=False)
    try:
        rig.wait("web", "b", "c")
        assert rig.pods["client"].names(address, 80, times=24) == {"b", "c"}
        patch(rig, "web", publishNotReadyAddresses=True)
        rig.wait("web", *ALL)
        assert rig.pods["client"].names(address, 80, times=24) == ALL
    finally:
        rig.report("a", ready=True)


def test_ending_endpoints_serve_only_while_no_other_does(rig: Rig) -> None:
    address = rig.service("web", "rolling", TCP)
    rig.pod("old", "n1", "rolling")
    rig.wait("web", "old")
    rig.objects.api.delete(rig.objects.path("pods", "old"), {"gracePeriodSeconds": 600})
    eventually(lambda: rig.objects.get("pods", "old")["metadata"].get("deletionTimestamp"), "the pod is being deleted")
    time.sleep(1)
    assert rig.pods["client"].names(address, 80) == {"old"}
    rig.pod("new", "n2", "rolling")
    rig.wait("web", "new")
    assert rig.pods["client"].names(address, 80) == {"new"}
    rig.report("new", ready=False)
    rig.wait("web", "old")
    assert rig.pods["client"].names(address, 80) == {"old"}
    rig.report("old", ready=False)
    rig.wait("web")
    assert rig.pods["client"].ask(address, 80) == "refused"


def test_a_service_without_selector(rig: Rig) -> None:
    """Its endpoints are somebody's own; here the internet."""
    rig.internet.serve("world", "tcp:9000")
    address = rig.service("web", None, TCP)
    document = slice_document("web-own", "web", [{"name": "tcp", "port": 9000, "protocol": "TCP"}], [INTERNET])
    rig.objects.api.create(rig.objects.path("endpointslices"), document)
    try:
        eventually(lambda: any(INTERNET in text for vips in rig.vips("web").values() for text in vips.values()), "")
        rig.sync()
        assert rig.pods["client"].ask(address, 80) == f"world {GATEWAY.ip}"
    finally:
        rig.objects.delete("endpointslices", "web-own")


def test_a_headless_service_has_nothing_in_the_network(rig: Rig) -> None:
    rig.service("web", "web", TCP, clusterIP="None")
    rig.service("other", "web", TCP)
    rig.wait("other", *ALL)
    assert rig.vips("web") == {}


@pytest.mark.parametrize("protocol", ["tcp", "udp"])
def test_without_endpoints_a_client_is_refused(rig: Rig, protocol: str) -> None:
    """At once: the client's patience is longer."""
    address = rig.service("web", "nobody", TCP, UDP, type="NodePort")
    rig.wait("web")
    port = next(port["nodePort"] for port in rig.objects.get("services", "web")["spec"]["ports"]
                if port["name"] == protocol)  # fmt: skip
    for place, target, number in (
        (rig.pods["client"], address, 80),
        (rig.nodes["n1"], address, 80),
        (rig.internet, str(GATEWAY.ip), port),
    ):
        eventually(lambda: place.ask(target, number, protocol) == "refused", f"{place.netns} is refused")  # noqa: B023


@pytest.mark.parametrize("protocol", ["tcp", "udp"])
def test_a_pod_reaches_itself_through_its_service(rig: Rig, protocol: str) -> None:
    address = rig.service("web", "self", TCP, UDP)
    rig.pod(f"alone-{protocol}", "n1", "self")
    rig.wait("web", f"alone-{protocol}")
    assert rig.pods[f"alone-{protocol}"].ask(address, 80, protocol) == f"alone-{protocol} 169.254.0.5"
    rig.objects.delete("pods", f"alone-{protocol}")


@pytest.mark.parametrize("protocol", ["tcp", "udp"])
@pytest.mark.parametrize("node", ["n1", "n2", "gw"])
def test_processes_of_nodes_reach_cluster_addresses(rig: Rig, node: str, protocol: str) -> None:
    address = rig.service("web", "web", TCP, UDP)
    rig.wait("web", *ALL)
    assert rig.nodes[node].names(address, 80, protocol, 24) == ALL


def test_internal_traffic_policy_local(rig: Rig) -> None:
    address = rig.service("web", "web", TCP, internalTrafficPolicy="Local")
    eventually(lambda: len(rig.vips("web")) == 3, "each node has its own")
    rig.sync()
    assert rig.nodes["n1"].names(address, 80) == {"a", "b"}
    assert rig.pods["client"].names(address, 80) == {"c"}
    assert rig.nodes["n2"].names(address, 80) == {"c"}
    assert rig.nodes["gw"].ask(address, 80) == "refused"


@pytest.mark.parametrize("protocol", ["tcp", "udp"])
def test_node_ports(rig: Rig, protocol: str) -> None:
    """Pods find them at every node; the world at the gateway."""
    rig.service("web", "web", TCP, UDP, type="NodePort")
    rig.wait("web", *ALL)
    port = next(port["nodePort"] for port in rig.objects.get("services", "web")["spec"]["ports"]
                if port["name"] == protocol)  # fmt: skip
    for address in (*(node.address for node in rig.chassis.values()), str(GATEWAY.ip)):
        assert rig.pods["client"].names(address, port, protocol) <= ALL
    all_answer(rig, str(GATEWAY.ip), port, protocol)


@pytest.mark.parametrize("protocol", ["tcp", "udp"])
def test_external_addresses_and_those_of_a_load_balancer(rig: Rig, protocol: str) -> None:
    rig.service("web", "web", TCP, UDP, type="LoadBalancer", externalIPs=[ROUTED])
    status = {
        "loadBalancer": {"ingress": [{"ip": IN_SUBNET, "ipMode": "VIP"}, {"ip": "192.0.2.78", "ipMode": "Proxy"}]}
    }
    rig.objects.api.merge_patch(f"{rig.objects.path('services', 'web')}/status", {"status": status})
    eventually(lambda: f"{IN_SUBNET}:80" in rig.vips("web").get(f"service_shop_web_{protocol}", {}), "VIP is there")
    rig.wait("web", *ALL)
    for address in (IN_SUBNET, ROUTED):
        all_answer(rig, address, 80, protocol)
        assert rig.pods["client"].names(address, 80, protocol, 24) == ALL
    assert rig.internet.ask("192.0.2.78", 80, protocol) != "a"
    assert not any("192.0.2.78" in vip for vips in rig.vips("web").values() for vip in vips)


def test_external_traffic_policy_local_keeps_the_source(rig: Rig) -> None:
    rig.service("web", "web", TCP, UDP, type="NodePort", externalIPs=[ROUTED])
    rig.wait("web", *ALL)
    port = rig.objects.get("services", "web")["spec"]["ports"][0]["nodePort"]
    assert not rig.internet.ask(str(GATEWAY.ip), port).endswith(f" {NEXTHOP}")
    patch(rig, "web", externalTrafficPolicy="Local")
    eventually(lambda: rig.internet.ask(str(GATEWAY.ip), port).endswith(f" {NEXTHOP}"), "pods see who asks")
    for address, number, protocol in ((str(GATEWAY.ip), port, "tcp"), (ROUTED, 80, "tcp"), (ROUTED, 80, "udp")):
        answers = {rig.internet.ask(address, number, protocol) for _ in range(24)}
        assert answers == {f"{name} {NEXTHOP}" for name in ALL}
    assert rig.pods["client"].names(ROUTED, 80, times=24) == ALL


def test_datagrams_of_a_living_conversation_leave_an_endpoint_that_goes(rig: Rig) -> None:
    """The client keeps its socket, so that its entry in the connection table never ends by itself."""
    address = rig.service("web", "moving", UDP)
    rig.pod("first", "n1", "moving")
    rig.wait("web", "first")
    conversation = Conversation(rig.pods["client"], address, 80, "udp")
    assert conversation.ask().startswith("first ")
    rig.pod("second", "n2", "moving")
    rig.wait("web", "first", "second")
    for _ in range(4):
        assert conversation.ask().startswith("first ")
    rig.report("first", ready=False)
    rig.wait("web", "second")
    eventually(lambda: conversation.ask().startswith("second "), "the other endpoint answers", 10)


def test_a_connection_to_an_ending_endpoint_may_finish(rig: Rig) -> None:
    address = rig.service("web", "finishing", TCP)
    rig.pod("third", "n1", "finishing")
    rig.wait("web", "third")
    conversation = Conversation(rig.pods["client"], address, 80, "tcp")
    assert conversation.ask().startswith("third ")
    rig.report("third", ready=False)
    rig.wait("web")
    for _ in range(3):
        assert conversation.ask().startswith("third ")
