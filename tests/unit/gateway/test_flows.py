# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""The flows of a shared bridge: whose a packet is, whatever the number of services."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Address, IPv4Network

import pytest

from ovn_k8s.core.gateway_explain import Case, Packet, explain, explanation_lines
from ovn_k8s.core.gateway_flows import EXTERNAL_LIFETIME_S, SharedBridge, gateway_flows
from ovn_k8s.core.openflow import LOCAL, Conntrack, Flow, Masked, Output, SetField, flow_text, match_text, port_masks

MAC = "02:00:00:00:02:02"
OWN, CLIENT, INTERNET = IPv4Address("192.0.2.2"), IPv4Address("203.0.113.9"), IPv4Address("198.51.100.1")
BRIDGE = SharedBridge(1, 2, MAC, (OWN,))


def packet(origin: str, protocol: str, source: object, destination: object, *ports: int, **more: object) -> Packet:
    return Packet(
        origin,
        protocol,
        IPv4Address(str(source)),
        IPv4Address(str(destination)),
        *ports,
        **more,  # type: ignore[arg-type]
    )


def outcome(what: Packet, bridge: SharedBridge = BRIDGE) -> dict[str, tuple[str, ...]]:
    """Where the packet goes, by what the connection table says."""
    return {case.connection: case.goes_to for case in explain(bridge, what)}


@pytest.mark.parametrize("bridge", [
    BRIDGE,
    replace(BRIDGE, addresses=()),
    replace(BRIDGE, pods=None),
    replace(BRIDGE, logical_address=IPv4Address("192.0.2.99")),
    replace(BRIDGE, addresses=(OWN, IPv4Address("192.0.2.3")), external=(IPv4Network("203.0.113.0/24"),)),
])  # fmt: skip
def test_no_two_flows_have_one_name_or_one_match(bridge: SharedBridge) -> None:
    flows = gateway_flows(bridge)
    assert len({flow.name for flow in flows}) == len(flows)
    assert len({(flow.table, flow.priority, *match_text(flow.match)) for flow in flows}) == len(flows)
    assert not any("NORMAL" in flow_text(flow) for flow in flows)


def test_the_number_of_flows_is_fixed() -> None:
    assert len(gateway_flows(BRIDGE)) < 90


def test_ssh_to_the_node_is_the_nodes_unless_it_is_a_known_reply() -> None:
    assert outcome(packet("wire", "tcp", CLIENT, OWN, 50000, 22)) == {
        "new": ("node",),
        "pods": ("pods",),
        "node": ("node",),
        "service": ("pods",),
    }


@pytest.mark.parametrize("protocol", ["tcp", "udp", "sctp"])
@pytest.mark.parametrize(("port", "target"), [(29999, "node"), (30000, "pods"), (32767, "pods"), (32768, "node")])
def test_the_range_of_node_ports_is_the_pods(protocol: str, port: int, target: str) -> None:
    assert outcome(packet("wire", protocol, CLIENT, OWN, 50000, port))["new"] == (target,)


def test_a_reply_to_the_node_is_the_nodes_even_on_a_node_port() -> None:
    assert outcome(packet("wire", "tcp", INTERNET, OWN, 443, 30080))["node"] == ("node",)


def test_pods_leave_by_the_wire_under_the_nodes_address() -> None:
    (case,) = explain(BRIDGE, packet("pods", "tcp", OWN, INTERNET, 40000, 443))
    assert case.goes_to == ("wire",)
    assert [flow.name for flow in case.flows] == ["pods", "pods-commit", "translated"]


def test_an_answer_of_a_node_port_leaves_as_it_is_and_a_pod_with_that_port_is_translated() -> None:
    cases = {case.connection: case for case in explain(BRIDGE, packet("pods", "tcp", OWN, CLIENT, 30080, 50000))}
    assert [flow.name for flow in cases["service"].flows][-1] == "service-reply"
    assert [flow.name for flow in cases["new"].flows][-2:] == ["pods-commit", "translated"]
    assert {case.goes_to for case in cases.values()} == {("wire",)}


def test_an_address_of_nobody_is_a_services() -> None:
    assert outcome(packet("wire", "tcp", CLIENT, "192.0.2.77", 50000, 80)) == {"": ("pods",)}
    flow = _flow("wire-external")
    assert flow.lifetime == EXTERNAL_LIFETIME_S


def test_external_networks_that_are_named_need_no_lifetime_and_the_rest_is_the_nodes() -> None:
    bridge = replace(BRIDGE, external=(IPv4Network("203.0.113.0/24"),))
    assert outcome(packet("wire", "tcp", CLIENT, "203.0.113.5", 50000, 80), bridge) == {"": ("pods",)}
    assert outcome(packet("wire", "tcp", CLIENT, "192.0.2.77", 50000, 80), bridge) == {"": ("node",)}
    assert outcome(packet("node", "tcp", OWN, "203.0.113.5", 50000, 80), bridge) == {"": ("pods",)}
    assert not any(flow.lifetime for flow in gateway_flows(bridge))


def test_what_the_node_routes_to_elsewhere_is_the_nodes() -> None:
    bridge = replace(BRIDGE, other_addresses=(IPv4Network("172.17.0.0/16"),))
    assert outcome(packet("wire", "tcp", CLIENT, "172.17.0.2", 50000, 80), bridge) == {"": ("node",)}


def test_an_icmp_error_goes_to_whom_it_is_about() -> None:
    assert outcome(packet("wire", "icmp", CLIENT, OWN, icmp_type=3)) == {
        "new": ("node",),
        "pods": ("pods",),
        "service": ("pods",),
    }


def test_dhcp_reaches_a_node_that_has_no_address_yet_or_another() -> None:
    offer = packet("wire", "udp", "192.0.2.1", "192.0.2.50", 67, 68)
    assert outcome(offer) == {"": ("node",)}
    assert outcome(offer, replace(BRIDGE, addresses=())) == {"": ("node",)}
    assert outcome(packet("node", "udp", "0.0.0.0", "255.255.255.255", 68, 67)) == {"": ("wire",)}


def test_without_address_or_pods_everything_is_the_nodes() -> None:
    for bridge in (replace(BRIDGE, addresses=()), replace(BRIDGE, pods=None)):
        assert set(outcome(packet("wire", "tcp", CLIENT, OWN, 50000, 22), bridge).values()) == {("node",)}
        assert set(outcome(packet("node", "tcp", OWN, CLIENT, 50000, 22), bridge).values()) == {("wire",)}


def test_ipv6_is_the_nodes() -> None:
    assert outcome(Packet("wire", "ipv6")) == {"": ("node",)}
    assert outcome(Packet("node", "ipv6")) == {"": ("wire",)}
    assert outcome(Packet("pods", "ipv6")) == {"": ()}


def test_tunnels_between_nodes_end_at_the_node() -> None:
    for port in (6081, 4789):
        assert outcome(packet("wire", "udp", "192.0.2.9", OWN, 50000, port)) == {"": ("node",)}
        assert outcome(packet("node", "udp", OWN, "192.0.2.9", 50000, port)) == {"": ("wire",)}


def test_arp_for_the_node_is_answered_once() -> None:
    assert outcome(packet("wire", "arp", CLIENT, OWN)) == {"": ("node",)}
    assert outcome(packet("wire", "arp", CLIENT, "192.0.2.77")) == {"": ("node", "pods")}


def test_a_probe_for_the_nodes_address_never_meets_the_router_that_has_it_too() -> None:
    assert outcome(packet("node", "arp", "0.0.0.0", OWN)) == {"": ("wire",)}
    assert outcome(packet("node", "arp", OWN, OWN)) == {"": ("wire",)}


def test_the_node_is_a_client_of_its_own_services() -> None:
    alias = BRIDGE.service_alias
    assert outcome(packet("node", "tcp", OWN, alias, 50000, 30080)) == {"": ("pods",)}
    assert outcome(packet("pods", "tcp", OWN, BRIDGE.node_alias, 30080, 50000)) == {"": ("node",)}
    assert outcome(packet("node", "tcp", OWN, "192.0.2.77", 50000, 80, to_mac=MAC)) == {"": ("pods",)}
    assert outcome(packet("pods", "tcp", "192.0.2.77", BRIDGE.node_alias, 80, 50000)) == {"": ("node",)}


def test_a_new_address_serves_before_ovn_knows_it() -> None:
    bridge = replace(BRIDGE, addresses=(IPv4Address("192.0.2.9"),), logical_address=OWN)
    assert outcome(packet("pods", "tcp", OWN, INTERNET, 40000, 443), bridge) == {"": ("wire",)}
    texts = {flow.name: flow_text(flow) for flow in gateway_flows(bridge)}
    assert "nat(src=192.0.2.9)" in texts["pods-commit"]
    assert "set_field:192.0.2.2->ip_dst" in texts["reply-to-pods"]
    assert "set_field:192.0.2.2->ip_dst" in texts["node-port-tcp-30720"]
    assert "set_field:192.0.2.9->ip_src" in texts["pods-port-tcp-30720"]
    assert "set_field:192.0.2.9->arp_spa" in texts["pods-arp-address"]


def test_nothing_is_translated_to_the_address_that_it_has() -> None:
    """Open vSwitch before 3.3 does not survive that in its userspace datapath."""
    for bridge in (BRIDGE, replace(BRIDGE, addresses=(OWN, IPv4Address("192.0.2.3")))):
        for flow in gateway_flows(bridge):
            source = flow.match.ip_src
            for action in flow.actions:
                if isinstance(action, SetField) and action.field == "ip_src":
                    source = IPv4Network(action.value)
                if isinstance(action, Conntrack) and action.source:
                    assert source != IPv4Network(action.source), flow.name


def test_the_answer_to_a_connection_from_outside_leaves_with_the_nodes_address() -> None:
    texts = {flow.name: flow_text(flow) for flow in gateway_flows(BRIDGE)}
    assert "nw_src=169.254.169.3,actions=set_field:192.0.2.2->ip_src,output:1" in texts["untranslated-of-node"]


def test_the_zone_is_where_it_is_told() -> None:
    texts = [flow_text(flow) for flow in gateway_flows(replace(BRIDGE, zone=7))]
    assert not any("zone=64000" in text for text in texts)
    assert any("zone=7" in text for text in texts)


def test_nothing_goes_back_where_it_came_from() -> None:
    for flow in gateway_flows(BRIDGE):
        assert not any(isinstance(a, Output) and a.port == flow.match.in_port for a in flow.actions), flow.name


def test_an_explanation_names_flow_and_reason() -> None:
    what = packet("wire", "tcp", CLIENT, OWN, 50000, 30080)
    text = "\n".join(explanation_lines(what, explain(BRIDGE, what)))
    assert "tcp 203.0.113.9:50000 -> 192.0.2.2:30080 from the wire" in text
    assert "flow node-port-tcp-30080: a new connection to a node port, whatever service it is" in text


def test_an_explanation_says_what_is_dropped() -> None:
    lines = list(explanation_lines(Packet("pods", "ipv6"), (Case("", (_flow("pods-default"),), ()),)))
    assert "dropped" in lines[1]


@pytest.mark.parametrize(("first", "last", "count"), [
    (30000, 32767, 5), (0, 65535, 1), (80, 80, 1), (1, 65535, 16), (30000, 30001, 1), (1023, 1025, 2),
])  # fmt: skip
def test_port_masks_cover_exactly_the_range(first: int, last: int, count: int) -> None:
    masks = list(port_masks(first, last))
    assert [port for port in range(65536) if any(port in mask for mask in masks)] == list(range(first, last + 1))
    assert len(masks) == count


def test_text_of_a_masked_port() -> None:
    flow = Flow(
        "x",
        "",
        1,
        5,
        replace(_flow("node-port-tcp-30000").match, l4_dst=Masked(16, 0xFFF0)),
        (Output(LOCAL),),
    )
    assert flow_text(flow) == "table=1,priority=5,tcp,nw_dst=192.0.2.2,tp_dst=0x10/0xfff0,actions=LOCAL"


def _flow(name: str) -> Flow:
    return next(flow for flow in gateway_flows(BRIDGE) if flow.name == name)
