# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""What the node's own kernel has to do for a shared bridge: a packet filter, a route and a neighbour.

* A node that asks for a node port of its own address would ask itself: the packet filter turns that into the bridge's
  service alias, which a route leads to the bridge.
* With a userspace datapath the kernel gets every frame of the NIC too, and would answer what is not its own: frames are
  dropped there after Open vSwitch's packet socket has had them. (Settings such as rp_filter do not suffice: they are
  not asked for datagrams to a connected socket.)
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address

from pyroute2 import IPRoute
from pyroute2.netlink.exceptions import NetlinkError

from ovn_k8s.core.addresses import mac_for
from ovn_k8s.core.gateway_flows import SharedBridge
from ovn_k8s.netlink.links import RT_SCOPE_LINK, LinkError, Netlink, Route
from ovn_k8s.netlink.packet_filter import GATEWAY_TABLE, FilterError, comments, load

_NUD_PERMANENT = 0x80


class HostSideError(Exception):
    """The kernel or nft refused; the message says what."""


@dataclass(frozen=True)
class HostSide:
    """What shall be. `silent` is the NIC that the kernel must keep off, or an empty string."""

    addresses: tuple[IPv4Address, ...]
    node_ports: tuple[int, int]
    alias: IPv4Address
    silent: str


def host_side(bridge: SharedBridge, interface: str, userspace: bool) -> HostSide:
    """What a bridge needs. Without pods there are no node ports to be asked for."""
    addresses = bridge.addresses if bridge.pods is not None else ()
    return HostSide(addresses, bridge.node_ports, bridge.service_alias, interface if userspace else "")


def rules(wanted: HostSide) -> str:
    """The packet filter in nft's language (nft(8)): two tables of ours, replaced in one step."""
    return "\n".join(_lines(wanted)) + "\n"


def _lines(wanted: HostSide) -> Iterator[str]:
    for family in ("ip", "netdev"):
        yield f"add table {family} {GATEWAY_TABLE}"
        yield f"delete table {family} {GATEWAY_TABLE}"
    if wanted.addresses:
        first, last = wanted.node_ports
        addresses = ", ".join(map(str, wanted.addresses))
        yield f"table ip {GATEWAY_TABLE} {{"
        yield "  chain output {"
        yield "    type nat hook output priority -100; policy accept;"
        ports = f"th dport {first}-{last}"
        yield f"    ip daddr {{ {addresses} }} meta l4proto {{ tcp, udp, sctp }} {ports} dnat to {wanted.alias}"
        yield "  }"
        yield "}"
    if wanted.silent:
        yield f"table netdev {GATEWAY_TABLE} {{"
        yield "  chain wire {"
        yield f'    type filter hook ingress device "{wanted.silent}" priority 0; policy drop;'
        yield "  }"
        yield "}"


def stands(wanted: HostSide, bridge: str, handle: Netlink) -> bool:
    """Whether the route is there; whoever removes the neighbour removes it too."""
    if not wanted.addresses:
        return True
    link = handle.link(bridge)
    return bool(link and any(route.destination == f"{wanted.alias}/32" for _, route in handle.routes(link)))


def filter_stands(wanted: HostSide) -> bool:
    """Whether the packet filter is there, all of it; not whether its rules are still ours."""
    own, wire = comments("ip", GATEWAY_TABLE), comments("netdev", GATEWAY_TABLE)
    return len(own or ()) == bool(wanted.addresses) and (wire is not None) == bool(wanted.silent)


def apply(wanted: HostSide, bridge: str, handle: Netlink, run: Callable[[str], None] = load) -> None:
    """Make it so. `run` takes the rules, by default nft does.

    Raises:
        HostSideError: the kernel or nft refused.
    """
    try:
        run(rules(wanted))
    except FilterError as error:
        raise HostSideError(str(error)) from None
    link = handle.link(bridge)
    if link is None or not wanted.addresses:
        return
    try:
        route = Route(f"{wanted.alias}/32", source=str(wanted.addresses[0]), scope=RT_SCOPE_LINK)
        handle.replace_route(link, route)
        with IPRoute() as socket:
            socket.neigh(
                "replace", dst=str(wanted.alias), lladdr=mac_for(wanted.alias), ifindex=link.index, state=_NUD_PERMANENT
            )
    except (LinkError, NetlinkError) as error:
        raise HostSideError(f"{bridge}: {wanted.alias}: {error}") from error
