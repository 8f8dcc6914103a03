# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""Flows as text, and what is said about text that is none. What the switch makes of flows: test_ovs_flow.py."""

from __future__ import annotations

import re
import struct
from ipaddress import IPv4Address

import pytest
from ansible_collections.ovn_k8s.cluster.plugins.module_utils.core.gateway_flows import SharedBridge, gateway_flows
from ansible_collections.ovn_k8s.cluster.plugins.module_utils.core.openflow import flow_text
from ansible_collections.ovn_k8s.cluster.plugins.module_utils.openflow import messages, wire
from ansible_collections.ovn_k8s.cluster.plugins.module_utils.openflow.fields import FlowError
from ansible_collections.ovn_k8s.cluster.plugins.module_utils.openflow.flows import Flow, parse, text_of

PORTS = {"eth1": 3, "br0": 0xFFFFFFFE}
NAMES = {number: name for name, number in PORTS.items()}


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("actions=drop", "table=0,priority=32768,actions=drop"),
        ("in_port=eth1,actions=br0", "table=0,priority=32768,in_port=eth1,actions=output:LOCAL"),
        (
            "ip,nw_src=10.0.0.7/8 actions=1",
            "table=0,priority=32768,eth_type=0x800,ip_src=10.0.0.0/8,actions=output:1",
        ),
        ("ip,nw_src=0.0.0.0/0,actions=drop", "table=0,priority=32768,eth_type=0x800,actions=drop"),
        ("arp,nw_dst=10.0.0.1,actions=drop", "table=0,priority=32768,arp_tpa=10.0.0.1,eth_type=0x806,actions=drop"),
        ("dl_vlan=10,actions=strip_vlan,3", "table=0,priority=32768,vlan_vid=0x100a,actions=pop_vlan,output:eth1"),
        (
            "tp_dst=80,tcp,actions=ct(commit,nat(src=[::1]:5),zone=3),resubmit(,4)",
            "table=0,priority=32768,eth_type=0x800,nw_proto=6,tcp_dst=80,"
            "actions=ct(commit,zone=3,nat(src=[::1]:5)),resubmit(,4)",
        ),
    ],
)
def test_text(text: str, canonical: str) -> None:
    flow = parse(text, PORTS)
    assert text_of(flow, NAMES) == canonical
    assert parse(canonical, PORTS) == flow


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("ip", "no actions; end it with actions=drop"),
        ("actions=", "no actions; write drop"),
        ("table=256,actions=drop", "table: 256 is outside 0 to 255"),
        ("priority=x,actions=drop", "priority: 'x' is no number"),
        ("cookie=1,actions=drop", "cookie cannot be given here"),
        ("hard_timeout=1,actions=drop", "hard_timeout cannot be given here"),
        ("nw_sauce=1,actions=drop", "no field 'nw_sauce'"),
        ("in_port=eth9,actions=drop", "port 'eth9': the bridge has no port of this name"),
        ("ip,arp,actions=drop", "eth_type is matched twice"),
        ("tp_dst=80,actions=drop", "tp_dst needs tcp, udp or sctp"),
        ("ip,nw_dst=10.0.0,actions=drop", "ip_dst: '10.0.0' is no address"),
        ("ip,nw_dst=10.0.0.0/40,actions=drop", "ip_dst: '10.0.0.0/40' is no network"),
        ("dl_src=zz,actions=drop", "eth_src: 'zz' is no MAC address"),
        ("ct_state=+odd,actions=drop", "ct_state: no flag 'odd'; there are new, est"),
        ("actions=fly", "port 'fly': the bridge has no port of this name"),
        ("actions=learn(table=1)", "no action 'learn' is known here"),
        ("actions=goto_table:1,NORMAL", "goto_table is the last action"),
        ("actions=set_field:1->nothing", "with a field that there is"),
        ("actions=move:reg0[0..7]->reg1[]", "8 bits do not go into 32"),
        ("actions=move:reg0[40]->reg1[0]", "reg0 has the bits 0 to 31"),
        ("actions=ct(alg=ftp)", "ct: 'alg=ftp' is not known here"),
        ("actions=ct(nat(src=1.2.3.x))", "nat: '1.2.3.x' is no range"),
        ("actions=ct(commit", "brackets do not match"),
        ("actions=conjunction(1)", r"write conjunction\(id,part/parts\)"),
    ],
)
def test_text_that_is_no_flow(text: str, message: str) -> None:
    with pytest.raises(FlowError, match=message):
        parse(text, PORTS)


def test_the_programs_and_the_module_mean_the_same() -> None:
    """The gateway's flows: what its encoder makes of them is what this language reads in their text."""
    bridge = SharedBridge(1, 2, "0a:58:c0:00:02:02", (IPv4Address("192.0.2.2"),))
    flows = gateway_flows(bridge)
    assert len(flows) > 50
    for flow in flows:
        read = parse(re.sub(r"hard_timeout=\d+,", "", flow_text(flow)), {})
        assert (read.table, read.priority) == (flow.table, flow.priority)
        assert decoded(read, messages.encode_match(flow.match), messages.encode_instructions(flow.actions)) == read
        assert decoded(read, wire.encode_match(read.match), wire.encode_instructions(read.actions)) == read


def decoded(like: Flow, match: bytes, instructions: bytes) -> Flow:
    """A flow as the switch would give it back, in table and priority `like` another."""
    body = match + instructions
    head = struct.pack("!HBxIIHHHHHxxQQQ", 48 + len(body), like.table, 0, 0, like.priority, 0, 0, 0, 0, 1, 0, 0)
    (stored,) = wire.decode_flows(head + body)
    assert stored.flow
    return stored.flow
