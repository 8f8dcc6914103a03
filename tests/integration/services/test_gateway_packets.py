# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""Services at a gateway, with packets: nodes as endpoints, who may come in, and whose an address is."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest
from control_plane import slice_document
from service_rig import GATEWAY, IN_SUBNET, INTERNET, ROUTED, Rig
from small_ovn import eventually

PROTOCOLS = ("tcp", "udp")
HOSTED = "192.0.2.79"
ROUTER = "100.64.0.2"
"""The gateway's router in the join network, in whose name it asks."""


def two_ports(target: int) -> list[dict[str, Any]]:
    """Port 80 of TCP and of UDP."""
    return [{"name": name, "port": 80, "targetPort": target, "protocol": name.upper()} for name in PROTOCOLS]


@pytest.fixture
def names(rig: Rig) -> Iterator[list[str]]:
    """Services to delete afterwards."""
    made: list[str] = []
    yield made
    rig.delete(*made)
    eventually(lambda: not any(rig.vips(name) for name in made), "services are gone")


@pytest.fixture(scope="module")
def hosted(rig: Rig) -> Iterator[dict[str, int]]:
    """A service that leads to servers of all three nodes, at HOSTED and at node ports; the node ports by protocol."""
    for name, place in rig.nodes.items():
        place.serve(f"host-{name}", "tcp:9500", "udp:9500")
    rig.service("hosted", None, *two_ports(9500), type="NodePort", externalIPs=[HOSTED])
    ports = [{"name": name, "port": 9500, "protocol": name.upper()} for name in PROTOCOLS]
    document = slice_document("hosted-own", "hosted", ports, [node.address for node in rig.chassis.values()])
    rig.objects.api.create(rig.objects.path("endpointslices"), document)

    def complete() -> bool:
        at_gateway = [vips for name, vips in rig.vips("hosted").items() if name.endswith("_gateway_gw")]
        return len(at_gateway) == 2 and all(text.count(",") == 2 for vips in at_gateway for text in vips.values())

    eventually(complete, "the gateway has every node behind the service")
    rig.sync()
    yield {port["name"]: port["nodePort"] for port in rig.objects.get("services", "hosted")["spec"]["ports"]}
    rig.objects.delete("endpointslices", "hosted-own")
    rig.delete("hosted")


@pytest.mark.parametrize("policy", ["Cluster", "Local"])
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_nodes_are_endpoints_for_the_world(rig: Rig, hosted: dict[str, int], policy: str, protocol: str) -> None:
    """By the gateway's router, which asks in its own name: nodes answer the world by a way of their own."""
    patch = {"spec": {"externalTrafficPolicy": policy}}
    rig.objects.api.merge_patch(rig.objects.path("services", "hosted"), patch)
    everybody = {f"host-{name} {ROUTER}" for name in rig.nodes}
    for address, port in ((HOSTED, 80), (str(GATEWAY.ip), hosted[protocol])):
        seen: set[str] = set()

        def asked(address: str = address, port: int = port, seen: set[str] = seen) -> bool:
            seen.add(rig.internet.ask(address, port, protocol))
            return everybody <= seen

        eventually(asked, f"every node answers at {address}:{port}")
        assert seen <= everybody | {"silence"}, "the first packet of all may come before a neighbour is known"
        assert {rig.internet.ask(address, port, protocol) for _ in range(6)} <= everybody


def test_the_world_finds_no_way_to_nodes_themselves(rig: Rig, hosted: dict[str, int]) -> None:
    """Only what a service has led to a node goes there by the gateway."""
    node = rig.chassis["n1"]
    rig.internet.run("ip", "route", "add", f"{node.address}/32", "via", str(GATEWAY.ip))
    node.enter("nft", "add table ip seen")
    node.enter("nft", "add chain ip seen seen { type filter hook prerouting priority -400; }")
    node.enter("nft", "add rule ip seen seen iifname k8s-n1 udp dport 9500 counter")
    try:
        assert rig.internet.ask(HOSTED, 80, "udp") in {f"host-{name} {ROUTER}" for name in rig.nodes}
        before = node.enter("nft", "list", "table", "ip", "seen")
        assert rig.internet.ask(node.address, 9500, "udp") == "silence"
        assert node.enter("nft", "list", "table", "ip", "seen") == before, "and it has not come to the node"
    finally:
        node.enter("nft", "delete", "table", "ip", "seen")
        rig.internet.run("ip", "route", "del", f"{node.address}/32")


def test_a_gateway_knows_the_way_to_a_new_node(rig: Rig, hosted: dict[str, int]) -> None:
    def known() -> bool:
        return "172.16.9.9" in rig.ovn.nbctl("lr-policy-list", "GR_gw")

    api, path = rig.plane.api, "/api/v1/nodes"
    api.create(path, {"metadata": {"name": "n9"}})
    try:
        status = {"status": {"addresses": [{"type": "InternalIP", "address": "172.16.9.9"}]}}
        api.merge_patch(f"{path}/n9/status", status)
        eventually(known, "the way to the new node")
    finally:
        api.delete(f"{path}/n9")
    eventually(lambda: not known(), "the way is gone with the node")


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_source_ranges_of_a_load_balancer(rig: Rig, names: list[str], protocol: str) -> None:
    """They are about its own address; other ones of the service are everybody's."""
    names.append("guarded")
    ranges = [f"{INTERNET}/32", "2001:db8::/32"]
    rig.service("guarded", "web", *two_ports(8080), type="LoadBalancer", loadBalancerSourceRanges=ranges,
                externalIPs=[ROUTED])  # fmt: skip
    status = {"loadBalancer": {"ingress": [{"ip": IN_SUBNET, "ipMode": "VIP"}]}}
    rig.objects.api.merge_patch(f"{rig.objects.path('services', 'guarded')}/status", {"status": status})
    eventually(lambda: f"{IN_SUBNET}:80" in rig.vips("guarded").get(f"service_shop_guarded_{protocol}", {}), "VIP")
    rig.wait("guarded", "a", "b", "c")

    def answered(address: str, source: str = "") -> bool:
        return rig.internet.ask(address, 80, protocol, source).split(" ")[0] in {"a", "b", "c"}

    eventually(lambda: answered(IN_SUBNET, INTERNET), "who may is answered")
    assert rig.internet.ask(IN_SUBNET, 80, protocol) == "silence", "who may not is not"
    assert answered(ROUTED)
    assert rig.pods["client"].ask(IN_SUBNET, 80, protocol).split(" ")[0] in {"a", "b", "c"}
    patch = {"spec": {"loadBalancerSourceRanges": None}}
    rig.objects.api.merge_patch(rig.objects.path("services", "guarded"), patch)
    eventually(lambda: answered(IN_SUBNET), "without ranges everybody is answered")


def test_the_older_of_two_services_has_an_address(rig: Rig, names: list[str]) -> None:
    """The other one is told so, keeps what nobody else claims, and gets the address when it is free."""
    names += ["older", "newer"]
    rig.service("older", "web", {"port": 80, "targetPort": 8080}, externalIPs=[ROUTED])
    time.sleep(1.1)  # the API server writes whole seconds
    ports = [{"name": "web", "port": 80, "targetPort": 8080}, {"name": "more", "port": 81, "targetPort": 8080}]
    rig.pod("other", "n2", "other")
    try:
        rig.service("newer", "other", *ports, externalIPs=[ROUTED])
        rig.wait("newer", "other")
        rig.wait("older", "a", "b", "c")
        assert rig.internet.names(ROUTED, 80) <= {"a", "b", "c"}
        assert rig.internet.names(ROUTED, 81, times=2) == {"other"}

        def told() -> bool:
            return any(
                event["involvedObject"].get("kind") == "Service"
                and event["involvedObject"].get("name") == "newer"
                and event["message"] == f"{ROUTED}:80/TCP belongs to the older service shop/older"
                for event in rig.plane.api.get(rig.objects.path("events"))["items"]
            )

        eventually(told, "an event on the newer service")
        rig.delete("older")
        eventually(lambda: rig.internet.ask(ROUTED, 80).startswith("other "), "the newer one has it now")
    finally:
        rig.objects.delete("pods", "other")
