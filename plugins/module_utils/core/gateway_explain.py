# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""Which flows of a gateway's bridge take a packet, and why: a walk through the tables without a switch.

What the connection table would say is not known here, so each answer that it can give is followed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from ipaddress import IPv4Address, IPv4Network

from .gateway_flows import ICMP_ERROR, MARK_NODE, MARK_PODS, MARK_SERVICE, SharedBridge, gateway_flows
from .openflow import (
    ARP_REQUEST,
    CT_EST,
    CT_NEW,
    CT_REL,
    CT_RPL,
    CT_TRK,
    ETH_ARP,
    ETH_IPV4,
    ETH_IPV6,
    ICMP,
    LOCAL,
    MULTICAST,
    SCTP,
    TCP,
    UDP,
    Conntrack,
    Flow,
    Goto,
    Match,
    Output,
    SetField,
)

ORIGINS = ("wire", "node", "pods")
PROTOCOLS = {"tcp": TCP, "udp": UDP, "sctp": SCTP, "icmp": ICMP, "arp": 0, "ipv6": 0}
PORT_PROTOCOLS = frozenset({TCP, UDP, SCTP})
CONNECTIONS = {
    "new": "it belongs to no connection that is known",
    "pods": "it belongs to a connection that a pod began",
    "node": "it belongs to a connection that the node began",
    "service": "it belongs to a connection that somebody outside began to a node port",
}
_MARKS = {"pods": MARK_PODS, "node": MARK_NODE, "service": MARK_SERVICE}
_ALL_HOSTS = "ff:ff:ff:ff:ff:ff"
_OTHER_MAC = "00:00:00:00:00:00"
_STEPS = 20


@dataclass(frozen=True)
class Packet:
    """A packet as it comes in. `origin`: wire, node or pods. `protocol`: a key of `PROTOCOLS`; of ARP, a request.

    `to_mac`: the frame's destination; None: the bridge for what comes in, some neighbour for what goes out.
    """

    origin: str
    protocol: str
    source: IPv4Address | None = None
    destination: IPv4Address | None = None
    source_port: int = 0
    destination_port: int = 0
    icmp_type: int = 8
    to_mac: str | None = None

    def __str__(self) -> str:
        ports = PROTOCOLS[self.protocol] in PORT_PROTOCOLS
        source = f"{self.source}:{self.source_port}" if ports else f"{self.source}"
        destination = f"{self.destination}:{self.destination_port}" if ports else f"{self.destination}"
        if self.source is None:
            return f"{self.protocol} from the {self.origin}"
        return f"{self.protocol} {source} -> {destination} from the {self.origin}"


@dataclass(frozen=True)
class Case:
    """One way that the packet can take. `goes_to`: wire, node and pods, in the order of output; empty: dropped.

    `connection`: a key of `CONNECTIONS`, or an empty string when it makes no difference.
    """

    connection: str
    flows: tuple[Flow, ...]
    goes_to: tuple[str, ...]


@dataclass(frozen=True)
class _State:
    """The packet on its way."""

    in_port: int
    eth_type: int
    eth_dst: str
    ip_proto: int
    source: IPv4Address | None
    destination: IPv4Address | None
    packet: Packet
    ct_state: int = 0
    ct_mark: int = 0


def explain(bridge: SharedBridge, packet: Packet) -> tuple[Case, ...]:
    """Every way that the packet can take, one per answer of the connection table that makes a difference."""
    flows = sorted(gateway_flows(bridge), key=lambda flow: -flow.priority)
    cases: list[Case] = []
    for connection in CONNECTIONS:
        path, outputs, asked = _walk(bridge, flows, packet, connection)
        cases.append(Case(connection if asked else "", tuple(path), tuple(outputs)))
        if not asked:
            return tuple(cases)
    distinct: dict[tuple[tuple[Flow, ...], tuple[str, ...]], Case] = {}
    for case in cases:
        distinct.setdefault((case.flows, case.goes_to), case)
    return tuple(distinct.values())


def explanation_lines(packet: Packet, cases: Sequence[Case]) -> Iterator[str]:
    """For people to read."""
    yield f"{packet}"
    for case in cases:
        target = " and ".join(f"the {name}" for name in case.goes_to) or "nobody: it is dropped"
        condition = f"if {CONNECTIONS[case.connection]}, it goes" if case.connection else "it goes"
        yield f"  {condition} to {target}"
        for flow in case.flows:
            yield f"    table {flow.table}, flow {flow.name}: {flow.why}"
        if not case.flows:
            yield "    no flow takes it"


def _walk(
    bridge: SharedBridge, flows: Sequence[Flow], packet: Packet, connection: str
) -> tuple[list[Flow], list[str], bool]:
    state, table = _begin(bridge, packet), 0
    ports = {bridge.wire: "wire", LOCAL: "node", bridge.pods: "pods"}
    path: list[Flow] = []
    outputs: list[str] = []
    asked = False
    for _step in range(_STEPS):
        flow = next((f for f in flows if f.table == table and _matches(f.match, state)), None)
        if flow is None:
            break
        path.append(flow)
        following: int | None = None
        for action in flow.actions:
            if isinstance(action, Output):
                outputs.append(ports.get(action.port, str(action.port)))
            elif isinstance(action, SetField):
                state = _rewritten(state, action)
            elif isinstance(action, Goto):
                following = action.table
            elif isinstance(action, Conntrack):
                asked = asked or not action.commit
                state = _tracked(bridge, state, action, connection)
                following = action.table if action.table is not None else following
        if following is None:
            break
        table = following
    return path, outputs, asked


def _begin(bridge: SharedBridge, packet: Packet) -> _State:
    number = PROTOCOLS[packet.protocol]
    kind = {"arp": ETH_ARP, "ipv6": ETH_IPV6}.get(packet.protocol, ETH_IPV4)
    port = {"wire": bridge.wire, "node": LOCAL, "pods": bridge.pods if bridge.pods is not None else -1}[packet.origin]
    group = packet.protocol == "arp" or (
        packet.destination is not None and (packet.destination.is_multicast or int(packet.destination) == 0xFFFFFFFF)
    )
    mac = _ALL_HOSTS if group else bridge.mac if packet.origin == "wire" else _OTHER_MAC
    return _State(port, kind, packet.to_mac or mac, number, packet.source, packet.destination, packet)


def _matches(match: Match, state: _State) -> bool:
    packet = state.packet
    is_arp, has_ports = state.eth_type == ETH_ARP, state.ip_proto in PORT_PROTOCOLS
    wanted_mac = match.eth_dst is None or (
        int(state.eth_dst[:2], 16) & 1 == 1 if match.eth_dst == MULTICAST else state.eth_dst == match.eth_dst
    )
    return (
        wanted_mac
        and not match.tagged
        and match.in_port in (None, state.in_port)
        and match.eth_type in (None, state.eth_type)
        and match.ip_proto in (None, state.ip_proto)
        and _inside(state.source, match.ip_src)
        and _inside(state.destination, match.ip_dst)
        and (match.l4_src is None or (has_ports and packet.source_port in match.l4_src))
        and (match.l4_dst is None or (has_ports and packet.destination_port in match.l4_dst))
        and match.icmp_type in (None, packet.icmp_type)
        and (match.arp_op is None or (is_arp and match.arp_op == ARP_REQUEST))
        and _inside(state.source, match.arp_spa)
        and _inside(state.destination, match.arp_tpa)
        and (match.ct_state is None or state.ct_state in match.ct_state)
        and match.ct_mark in (None, state.ct_mark)
    )


def _inside(address: IPv4Address | None, network: IPv4Network | None) -> bool:
    return network is None or (address is not None and address in network)


def _rewritten(state: _State, action: SetField) -> _State:
    if action.field in ("ip_src", "arp_spa"):
        return replace(state, source=IPv4Address(action.value))
    if action.field in ("ip_dst", "arp_tpa"):
        return replace(state, destination=IPv4Address(action.value))
    if action.field == "eth_dst":
        return replace(state, eth_dst=action.value)
    return state


def _tracked(bridge: SharedBridge, state: _State, action: Conntrack, connection: str) -> _State:
    if action.commit:
        state = replace(state, ct_state=CT_TRK | CT_EST, ct_mark=action.mark or 0)
        return replace(state, source=action.source or state.source)
    if connection == "new":
        return replace(state, ct_state=CT_TRK | CT_NEW, ct_mark=0)
    outside_began = connection == "service"
    from_wire = state.packet.origin == "wire"
    reply = CT_RPL if from_wire != outside_began else 0
    kind = CT_REL if action.table == ICMP_ERROR else CT_EST
    state = replace(state, ct_state=CT_TRK | kind | reply, ct_mark=_MARKS[connection])
    if action.restore and connection == "pods" and from_wire:
        return replace(state, destination=bridge.pods_alias)
    if action.restore and connection == "node" and from_wire and state.destination == bridge.addresses[0]:
        return replace(state, destination=bridge.connection_alias)
    return state
