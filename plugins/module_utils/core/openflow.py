# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""OpenFlow flows as data: what they match, what they do, and how ovs-ofctl(8) would write them.

Fields, actions and connection states are those of ovs-fields(7) and ovs-actions(7); only what the project uses is here.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network

LOCAL = 0xFFFFFFFE
"""OFPP_LOCAL of OpenFlow 1.1 and later: the interface of the bridge's own name."""
NORMAL = 0xFFFFFFFA
"""OFPP_NORMAL: forward as a learning switch does."""
_PORT_NAMES = {LOCAL: "LOCAL", NORMAL: "NORMAL"}

ETH_IPV4, ETH_ARP, ETH_IPV6 = 0x0800, 0x0806, 0x86DD
ICMP, TCP, UDP, SCTP = 1, 6, 17, 132
ARP_REQUEST = 1
MULTICAST = "01:00:00:00:00:00/01:00:00:00:00:00"
"""`eth_dst` of every multicast and broadcast frame."""

CT_NEW, CT_EST, CT_REL, CT_RPL, CT_INV, CT_TRK = 0x01, 0x02, 0x04, 0x08, 0x10, 0x20
_CT_NAMES = ((CT_NEW, "new"), (CT_EST, "est"), (CT_REL, "rel"), (CT_RPL, "rpl"), (CT_INV, "inv"), (CT_TRK, "trk"))
_ETH_NAMES = {ETH_IPV4: "ip", ETH_ARP: "arp", ETH_IPV6: "ipv6"}
_IP_NAMES = {ICMP: "icmp", TCP: "tcp", UDP: "udp", SCTP: "sctp"}
PORT_BITS = 16


@dataclass(frozen=True)
class Masked:
    """An integer of which only the bits in `mask` count."""

    value: int
    mask: int

    def __contains__(self, number: int) -> bool:
        return number & self.mask == self.value


@dataclass(frozen=True)
class Match:
    """What a flow matches; None is anything. `eth_dst` is an address, or address/mask. Networks may be /32."""

    in_port: int | None = None
    tagged: bool = False
    eth_dst: str | None = None
    eth_type: int | None = None
    ip_proto: int | None = None
    ip_src: IPv4Network | None = None
    ip_dst: IPv4Network | None = None
    l4_src: Masked | None = None
    l4_dst: Masked | None = None
    icmp_type: int | None = None
    arp_op: int | None = None
    arp_spa: IPv4Network | None = None
    arp_tpa: IPv4Network | None = None
    ct_state: Masked | None = None
    ct_mark: int | None = None
    tun_id: int | None = None
    tun_src: IPv4Address | None = None


@dataclass(frozen=True)
class Output:
    """Send the packet, as it is now, out of a port."""

    port: int


@dataclass(frozen=True)
class SetField:
    """Rewrite eth_src, eth_dst, arp_sha, arp_tha (a MAC address), ip_src, ip_dst, arp_spa, arp_tpa or tun_dst (an
    address), or tun_id (a number)."""

    field: str
    value: str


@dataclass(frozen=True)
class Goto:
    """Continue in a later table; the last action of a flow."""

    table: int


@dataclass(frozen=True)
class Conntrack:
    """Track the packet's connection in a zone.

    `table`: look the packet up again there, with its connection's state; without it the flow's next action follows.
    `commit` remembers a new connection, with `mark`. `restore` translates as the connection was committed. `source`
    translates the source address of a connection that is committed (another source port is taken when its own is in
    use) and later as committed.
    """

    zone: int
    table: int | None = None
    commit: bool = False
    restore: bool = False
    source: IPv4Address | None = None
    mark: int | None = None


@dataclass(frozen=True)
class Untrack:
    """Forget what the connection table said, so that a rewritten packet is looked up anew in the same zone."""


Action = Output | SetField | Goto | Conntrack | Untrack


@dataclass(frozen=True)
class Flow:
    """One flow. `name` is for people and unique in its set, `why` says what it is for; no actions drop the packet.

    `lifetime`: seconds after which the switch removes the flow unless it is written again; 0 for never.
    """

    name: str
    why: str
    table: int
    priority: int
    match: Match
    actions: tuple[Action, ...]
    lifetime: int = 0


def states(*, has: int, lacks: int = 0) -> Masked:
    """A match on the state of a connection: the bits that are set and those that are not."""
    return Masked(has, has | lacks)


def port_masks(first: int, last: int) -> Iterator[Masked]:
    """The fewest masked values that cover the ports `first` to `last`, both included.

    30000 to 32767, the node ports of Kubernetes, take five.
    """
    while first <= last:
        size = first & -first or 1 << PORT_BITS
        while size > last - first + 1:
            size >>= 1
        yield Masked(first, (1 << PORT_BITS) - size)
        first += size


def flow_text(flow: Flow) -> str:
    """The flow as ovs-ofctl reads it."""
    parts = [f"table={flow.table}", f"priority={flow.priority}"]
    if flow.lifetime:
        parts.append(f"hard_timeout={flow.lifetime}")
    parts += match_text(flow.match)
    actions = ",".join(action_text(action) for action in flow.actions) or "drop"
    return f"{','.join(parts)},actions={actions}"


def match_text(match: Match) -> list[str]:
    """What is matched, a condition each."""
    kind = _IP_NAMES.get(match.ip_proto or -1) or _ETH_NAMES.get(match.eth_type or -1)
    state = None
    if match.ct_state is not None:
        bits, mask = match.ct_state.value, match.ct_state.mask
        state = "".join(f"{'+' if bit & bits else '-'}{name}" for bit, name in _CT_NAMES if bit & mask)
    values = {
        "ct_state": state,
        "ct_mark": None if match.ct_mark is None else f"{match.ct_mark:#x}",
        "in_port": None if match.in_port is None else port_text(match.in_port),
        "tun_id": None if match.tun_id is None else f"{match.tun_id:#x}",
        "tun_src": match.tun_src,
        "vlan_tci": "0x1000/0x1000" if match.tagged else None,
        "dl_dst": match.eth_dst,
        "nw_src": _network(match.ip_src),
        "nw_dst": _network(match.ip_dst),
        "tp_src": _ports(match.l4_src),
        "tp_dst": _ports(match.l4_dst),
        "icmp_type": match.icmp_type,
        "arp_spa": _network(match.arp_spa),
        "arp_tpa": _network(match.arp_tpa),
        "arp_op": match.arp_op,
    }
    return [*([kind] if kind else []), *(f"{name}={value}" for name, value in values.items() if value is not None)]


def action_text(action: Action) -> str:
    """One action as ovs-ofctl writes it."""
    if isinstance(action, Output):
        return port_text(action.port) if action.port in _PORT_NAMES else f"output:{action.port}"
    if isinstance(action, SetField):
        return f"set_field:{action.value}->{action.field}"
    if isinstance(action, Goto):
        return f"goto_table:{action.table}"
    if isinstance(action, Untrack):
        return "ct_clear"
    parts = ["commit"] if action.commit else []
    if action.table is not None:
        parts.append(f"table={action.table}")
    parts.append(f"zone={action.zone}")
    if action.restore:
        parts.append("nat")
    elif action.source:
        parts.append(f"nat(src={action.source})")
    if action.mark is not None:
        parts.append(f"exec(set_field:{action.mark:#x}->ct_mark)")
    return f"ct({','.join(parts)})"


def port_text(port: int) -> str:
    """A port number, or the name of a reserved one."""
    return _PORT_NAMES.get(port, str(port))


def _network(network: IPv4Network | None) -> str | None:
    if network is None:
        return None
    return str(network.network_address) if network.prefixlen == network.max_prefixlen else str(network)


def _ports(ports: Masked | None) -> str | None:
    if ports is None:
        return None
    exact = ports.mask == (1 << PORT_BITS) - 1
    return str(ports.value) if exact else f"{ports.value:#x}/{ports.mask:#x}"
