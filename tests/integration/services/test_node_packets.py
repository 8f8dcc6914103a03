# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""Services and the nodes themselves: their processes as clients and as endpoints, and node ports at every node."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from control_plane import slice_document
from service_rig import Place, Rig
from small_ovn import eventually

PROTOCOLS = ("tcp", "udp")
ITSELF = "169.254.0.6"
POLICIES = "/apis/networking.k8s.io/v1/namespaces/shop/networkpolicies"


def two_ports(target: int) -> list[dict[str, Any]]:
    """Port 80 of TCP and of UDP."""
    return [{"name": name, "port": 80, "targetPort": target, "protocol": name.upper()} for name in PROTOCOLS]


def node_port(rig: Rig, name: str, protocol: str) -> int:
    ports = rig.objects.get("services", name)["spec"]["ports"]
    return int(next(port["nodePort"] for port in ports if port["name"] == protocol))


def clients(rig: Rig) -> dict[str, Place]:
    """Everybody who may ask, by name: pods and processes of both nodes and of the gateway."""
    return {"a": rig.pods["a"], "client": rig.pods["client"], **rig.nodes}


def expect(place: Place, address: str, port: int, protocol: str, answers: set[str]) -> None:
    """Wait for one of these answers: the first packet of all may come before a neighbour is known."""
    seen: list[str] = []

    def asked() -> bool:
        seen.append(place.ask(address, port, protocol))
        return seen[-1] in answers

    try:
        eventually(asked, "the answer")
    except AssertionError:
        raise AssertionError(f"{place.netns} asks {address}:{port}/{protocol}: {seen}, not {answers}") from None


@pytest.fixture(scope="module")
def hosts(rig: Rig) -> Iterator[None]:
    """A server in each node's own network, and services: `one` leads to n1's, `web` to pods, `near` too, but Local."""
    ports = [{"name": name, "port": 9000, "protocol": name.upper()} for name in PROTOCOLS]
    for name in ("n1", "n2"):
        rig.nodes[name].serve(f"host-{name}", "tcp:9000", "udp:9000", "tcp:31999", "tcp:29999")
    rig.service("one", None, *two_ports(9000), type="NodePort")
    document = slice_document("one-own", "one", ports, [rig.chassis["n1"].address])
    rig.objects.api.create(rig.objects.path("endpointslices"), document)
    rig.service("web", "web", *two_ports(8080), type="NodePort")
    rig.pod("single", "n1", "single")
    rig.service("near", "single", *two_ports(8080), type="NodePort", externalTrafficPolicy="Local")
    rig.service("none", "nobody", *two_ports(8080), type="NodePort")
    rig.wait("web", "a", "b", "c")
    eventually(lambda: "service_shop_none_udp" in rig.vips("none"), "the service without endpoints")
    there = f"{rig.address('single')}:8080"
    eventually(lambda: there in rig.vips("near").get("service_shop_near_udp_node_n1", {}).values(), "the Local one")
    eventually(lambda: len(rig.vips("one").get("service_shop_one_udp", {})) > 3, "the one of n1")
    rig.sync()
    yield
    rig.objects.delete("endpointslices", "one-own")
    rig.delete("one", "web", "near", "none")
    rig.objects.delete("pods", "single")


@pytest.fixture(params=["without policies", "with a policy"], scope="module")
def policies(rig: Rig, hosts: None, request: pytest.FixtureRequest) -> Iterator[None]:
    """While there is a policy, switches track every connection that they let through."""
    if request.param == "without policies":
        yield
        return
    spec = {"podSelector": {"matchLabels": {"app": "nobody"}}, "policyTypes": ["Ingress"]}
    rig.objects.api.create(POLICIES, {"metadata": {"name": "tracks"}, "spec": spec})
    eventually(lambda: rig.ovn.nbctl("--bare", "--columns=_uuid", "find", "acl", "action=drop"), "the ACL")
    rig.sync()
    yield
    rig.objects.api.delete(f"{POLICIES}/tracks", {})
    eventually(lambda: not rig.ovn.nbctl("--bare", "--columns=_uuid", "find", "acl", "action=drop"), "it is gone")


def own_address(rig: Rig, name: str) -> str:
    """The address in the pod network of a pod or of a node."""
    return rig.chassis[name].subnet.replace("0/24", "2") if name in rig.chassis else rig.address(name)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_an_endpoint_that_is_a_node_is_reached_by_everybody_and_by_itself(
    rig: Rig, policies: None, protocol: str
) -> None:
    """As the API server of a master is by 10.96.0.1. A service of pods is, too."""
    one, web = (rig.objects.get("services", name)["spec"]["clusterIP"] for name in ("one", "web"))
    for name, place in clients(rig).items():
        seen = own_address(rig, name)
        expect(place, one, 80, protocol, {f"host-n1 {ITSELF if name == 'n1' else seen}"})
        expect(place, web, 80, protocol, {*(f"{pod} {seen}" for pod in "abc"), f"{name} 169.254.0.5"})


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_node_ports_at_every_node(rig: Rig, policies: None, protocol: str) -> None:
    """From a machine outside, from processes of the nodes; endpoints are pods, or a node."""
    web, one = node_port(rig, "web", protocol), node_port(rig, "one", protocol)
    for asked, chassis in rig.chassis.items():
        by_node = own_address(rig, asked)
        for place in (rig.neighbour, *rig.nodes.values()):
            expect(place, chassis.address, web, protocol, {f"{pod} {by_node}" for pod in "abc"})
            expect(place, chassis.address, one, protocol, {f"host-n1 {ITSELF if asked == 'n1' else by_node}"})


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_node_ports_of_the_policy_local(rig: Rig, hosts: None, protocol: str) -> None:
    """The world gets endpoints of the node that it asks, or is refused at once; pods and the node itself get all."""
    port = node_port(rig, "near", protocol)
    first, second = rig.chassis["n1"], rig.chassis["n2"]
    expect(rig.neighbour, first.address, port, protocol, {"single 10.244.11.2"})
    expect(rig.neighbour, second.address, port, protocol, {"refused"})
    expect(rig.nodes["n1"], second.address, port, protocol, {"refused"})
    expect(rig.nodes["n2"], second.address, port, protocol, {"single 10.244.12.2"})
    expect(rig.pods["client"], second.address, port, protocol, {f"single {rig.address('client')}"})


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_node_ports_without_endpoints_are_refused(rig: Rig, hosts: None, protocol: str) -> None:
    port = node_port(rig, "none", protocol)
    for place in (rig.neighbour, rig.nodes["n1"]):
        expect(place, rig.chassis["n1"].address, port, protocol, {"refused"})


def test_what_listens_on_a_node_keeps_its_ports(rig: Rig, hosts: None) -> None:
    """Within the range of node ports for the world, beyond it for everybody."""
    address = rig.chassis["n1"].address
    from_neighbour = {f"host-n1 {address_of(rig.neighbour)}"}
    for port in (29999, 9000, 31999):
        expect(rig.neighbour, address, port, "tcp", from_neighbour)
    for port in (29999, 9000):
        expect(rig.nodes["n1"], address, port, "tcp", {f"host-n1 {address}"})
    assert rig.neighbour.ask(address, 31998) == "silence", "a port that no service has leads nowhere"


def address_of(place: Place) -> str:
    """The first address of a namespace that is not the loopback."""
    words = place.run("ip", "-4", "-o", "address", "show", "scope", "global").split()
    return words[3].partition("/")[0]


def test_a_node_forwards_node_ports_and_nothing_else(rig: Rig, hosts: None) -> None:
    """What a machine outside sends to a pod by way of a node, because it knows the way, is not let through."""
    node, pod = rig.chassis["n1"], rig.address("a")
    assert node.enter("sysctl", "-n", "net.ipv4.ip_forward").strip() == "0"
    rig.neighbour.run("ip", "route", "add", node.subnet, "via", node.address)
    for name, priority in (("before", -1), ("after", 1)):
        node.enter("nft", f"add table ip {name}")
        node.enter("nft", f"add chain ip {name} seen {{ type filter hook forward priority {priority}; }}")
        node.enter("nft", f"add rule ip {name} seen iifname br-phy oifname k8s-n1 ip daddr {pod} counter")
    try:
        assert rig.neighbour.ask(pod, 8080) == "silence"
        assert "packets 0" not in node.enter("nft", "list", "table", "ip", "before"), "the node was asked to"
        assert "packets 0" in node.enter("nft", "list", "table", "ip", "after"), "and did not"
    finally:
        for name in ("before", "after"):
            node.enter("nft", "delete", "table", "ip", name)
        rig.neighbour.run("ip", "route", "del", node.subnet)
