# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""Rows of the hybrid overlay, what they say to a node, and the flows that follow from it."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network

import pytest
from ansible_collections.ovn_k8s.cluster.plugins.module_utils.core.addresses import AddressError
from ansible_collections.ovn_k8s.cluster.plugins.module_utils.core.hybrid_flows import hybrid_flows
from ansible_collections.ovn_k8s.cluster.plugins.module_utils.core.hybrid_overlay import (
    ROUTER_MAC_ANNOTATION,
    LinuxNode,
    Peer,
    bridge_facts,
    linux_rows,
    mac,
    peer,
    routes_text,
    windows_rows,
)
from ansible_collections.ovn_k8s.cluster.plugins.module_utils.core.nodes import node_from_api
from ansible_collections.ovn_k8s.cluster.plugins.module_utils.core.openflow import flow_text

WINDOWS = Peer("win1", IPv4Network("10.244.5.0/24"), IPv4Address("172.30.0.30"), "00:15:5d:00:00:07")
LINUX = LinuxNode("linux1", IPv4Network("10.244.1.0/24"), IPv4Address("10.244.1.254"))
GATEWAY = LinuxNode("gw", IPv4Network("10.244.2.0/24"), IPv4Address("10.244.2.254"), IPv4Address("100.64.0.2"))
WRAP = "set_field:4097->tun_id,set_field:172.30.0.30->tun_dst,set_field:00:15:5d:00:00:07->eth_dst,output:2"
FROM = "in_port=2,tun_id=0x1001,tun_src=172.30.0.30,dl_dst=0a:58:0a:f4:02:fe,nw_src=10.244.5.0/24"
UNWRAP = "set_field:0a:58:0a:f4:02:fe->eth_src,set_field:0a:58:0a:f4:02:01->eth_dst,output:1"


def test_a_linux_node() -> None:
    port, policy = linux_rows("cluster", LINUX, [WINDOWS])
    assert (port.name, port.owner, port.parent.name) == ("int-linux1", "hybrid/node/linux1", "linux1")
    assert port.columns["addresses"] == ["0a:58:0a:f4:01:fe 10.244.1.254"]
    assert policy.columns == {
        "priority": 1002,
        "match": 'inport == "rtos-linux1" && ip4.dst == 10.244.5.0/24',
        "action": "reroute",
        "nexthops": ["10.244.1.254"],
    }


def test_a_gateway_sends_what_is_its_own_by_itself() -> None:
    _port, *policies = linux_rows("cluster", GATEWAY, [WINDOWS])
    matches = [row.columns["match"] for row in policies]
    assert matches == [
        'inport == "rtos-gw" && ip4.dst == 10.244.5.0/24',
        "ip4.src == 100.64.0.2 && ip4.dst == 10.244.5.0/24",
    ]


def test_a_windows_node() -> None:
    (route,) = windows_rows("cluster", WINDOWS, GATEWAY)
    assert route.columns == {"ip_prefix": "10.244.5.0/24", "nexthop": "10.244.2.254", "output_port": None}


def test_the_port_says_what_the_bridge_needs() -> None:
    port = next(linux_rows("cluster", GATEWAY, [WINDOWS]))
    facts = bridge_facts(port.columns["external_ids"])
    assert [flow_text(flow) for flow in hybrid_flows(facts, 1, 2)] == [
        f"table=0,priority=100,ip,in_port=1,nw_dst=10.244.5.0/24,actions={WRAP}",
        "table=0,priority=110,ip,in_port=1,nw_src=100.64.0.2,nw_dst=10.244.5.0/24,"
        f"actions=set_field:10.244.2.254->ip_src,{WRAP}",
        f"table=0,priority=100,ip,{FROM},actions={UNWRAP}",
        f"table=0,priority=110,ip,{FROM},nw_dst=10.244.2.254,actions=set_field:100.64.0.2->ip_dst,{UNWRAP}",
        "table=0,priority=0,actions=drop",
    ]


def test_without_a_gateway_nothing_is_rewritten() -> None:
    port = next(linux_rows("cluster", LINUX, [WINDOWS]))
    flows = hybrid_flows(bridge_facts(port.columns["external_ids"]), 1, 2)
    assert [flow.name for flow in flows] == ["to/10.244.5.0/24", "from/10.244.5.0/24", "rest"]


@pytest.mark.parametrize(
    "ids",
    [
        {},
        {"hybrid-overlay": "{", "gateway_ip": "10.244.1.1"},
        {"hybrid-overlay": "[]", "gateway_ip": "10.244.1.1"},
        {
            "hybrid-overlay": '{"router_mac":"x","router_address":"10.244.1.254","join_address":"","peers":[]}',
            "gateway_ip": "10.244.1.1",
        },
    ],
)
def test_what_cannot_be_read_is_said(ids: dict[str, str]) -> None:
    with pytest.raises(AddressError):
        bridge_facts(ids)


@pytest.mark.parametrize("text", ["00-15-5D-00-00-07", "00:15:5d:00:00:07", "00155D000007"])
def test_mac_addresses_as_windows_and_linux_write_them(text: str) -> None:
    assert mac(text) == "00:15:5d:00:00:07"


@pytest.mark.parametrize("text", ["", "00-15", "01:00:5e:00:00:01", "zz:15:5d:00:00:07", "ff:ff:ff:ff:ff:ff"])
def test_what_is_no_mac_address_of_a_machine(text: str) -> None:
    with pytest.raises(AddressError):
        mac(text)


@pytest.mark.parametrize(
    ("addresses", "annotations", "missing"),
    [
        ([], {ROUTER_MAC_ANNOTATION: "00-15-5D-00-00-07"}, "InternalIP"),
        ([{"type": "InternalIP", "address": "172.30.0.30"}], {}, "has not said"),
        ([{"type": "InternalIP", "address": "172.30.0.30"}], {ROUTER_MAC_ANNOTATION: "nonsense"}, "nonsense"),
    ],
)
def test_a_windows_node_that_cannot_be_reached_yet(
    addresses: list[dict[str, str]], annotations: dict[str, str], missing: str
) -> None:
    node = node_from_api({"metadata": {"name": "win1", "annotations": annotations}, "status": {"addresses": addresses}})
    with pytest.raises(AddressError, match=missing):
        peer(node, WINDOWS.subnet)


def test_routes_through_another_node() -> None:
    text = routes_text(LINUX, IPv4Address("172.30.0.11"), [IPv4Network("100.64.0.0/16"), IPv4Network("10.244.0.0/24")])
    assert text == (
        '[{"subnet":"10.244.0.0/24","address":"172.30.0.11","router_mac":"0a:58:0a:f4:01:fe"},'
        '{"subnet":"100.64.0.0/16","address":"172.30.0.11","router_mac":"0a:58:0a:f4:01:fe"}]'
    )
