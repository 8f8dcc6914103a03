# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""The flows of br-ext: between the logical port int-<node> and the Windows nodes' VXLAN.

To Windows, a packet goes to the MAC address of the overlay router of the node that has its destination: HNS takes no
other. From there it goes on to the cluster router, which knows pods, nodes and services alike; nothing has to be said
here when a pod comes or goes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from ipaddress import IPv4Network

from .hybrid_overlay import VNI, BridgeFacts, Peer
from .openflow import ETH_IPV4, Action, Flow, Match, Output, SetField

COOKIE = 0x6F766E2D6B38686F
"""Of all flows of the overlay: "ovn-k8ho"."""

TABLE = 0
PRIORITY, EXACT = 100, 110


def hybrid_flows(facts: BridgeFacts, logical: int, vxlan: int) -> tuple[Flow, ...]:
    """All flows. `logical` and `vxlan` are the numbers of the ports towards br-int and towards the wire."""
    return tuple(_flows(facts, logical, vxlan))


def _flows(facts: BridgeFacts, logical: int, vxlan: int) -> Iterator[Flow]:
    for peer in sorted(facts.peers, key=lambda one: one.subnet):
        yield from _to(facts, peer, logical, vxlan)
        yield from _from(facts, peer, logical, vxlan)
    yield Flow("rest", "nothing else passes", TABLE, 0, Match(), ())


def _to(facts: BridgeFacts, peer: Peer, logical: int, vxlan: int) -> Iterator[Flow]:
    wrap: tuple[Action, ...] = (
        SetField("tun_id", str(VNI)),
        SetField("tun_dst", str(peer.address)),
        SetField("eth_dst", peer.router_mac),
        Output(vxlan),
    )
    match = Match(in_port=logical, eth_type=ETH_IPV4, ip_dst=peer.subnet)
    yield Flow(f"to/{peer.subnet}", "to the pods of a Windows node", TABLE, PRIORITY, match, wrap)
    if facts.join_address:
        # Windows sends back into the overlay what is for subnets of nodes; the join network is none of them.
        join = Match(in_port=logical, eth_type=ETH_IPV4, ip_dst=peer.subnet, ip_src=_one(facts.join_address))
        hide = SetField("ip_src", str(facts.router_address))
        why = "what the gateway router sends in its own name comes back to this node"
        yield Flow(f"gateway/{peer.subnet}", why, TABLE, EXACT, join, (hide, *wrap))


def _from(facts: BridgeFacts, peer: Peer, logical: int, vxlan: int) -> Iterator[Flow]:
    unwrap: tuple[Action, ...] = (
        SetField("eth_src", facts.router_mac),
        SetField("eth_dst", facts.subnet_router_mac),
        Output(logical),
    )
    # VXLAN proves nothing about its sender; at least nobody speaks for another node's pods by mistake.
    known = Match(
        in_port=vxlan,
        tun_id=VNI,
        tun_src=peer.address,
        eth_type=ETH_IPV4,
        eth_dst=facts.router_mac,
        ip_src=peer.subnet,
    )
    why = "from the pods of a Windows node to the cluster router"
    yield Flow(f"from/{peer.subnet}", why, TABLE, PRIORITY, known, unwrap)
    if facts.join_address:
        reply = replace(known, ip_dst=_one(facts.router_address))
        back = SetField("ip_dst", str(facts.join_address))
        yield Flow(f"back/{peer.subnet}", "replies to the gateway router", TABLE, EXACT, reply, (back, *unwrap))


def _one(address: object) -> IPv4Network:
    return IPv4Network(f"{address}/32")
