# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""Links, IPv4 addresses and IPv4 routes of the calling thread's network namespace, through pyroute2."""

from __future__ import annotations

import errno
import ipaddress
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from pyroute2 import IPRoute
from pyroute2.netlink.exceptions import NetlinkError

from .dumps import undisturbed

RTPROT_KERNEL = 2
"""Protocol of routes that the kernel adds by itself with an address."""
RTN_UNICAST = 1
RT_TABLE_MAIN = 254
RT_SCOPE_UNIVERSE, RT_SCOPE_LINK, RT_SCOPE_HOST = 0, 253, 254
_IFF_UP = 1
_IFA_F_PERMANENT = 0x80
_IN6_ADDR_GEN_MODE_NONE = 1


class LinkError(Exception):
    """A netlink request failed; the message names the object and the kernel's reason."""


class LinkExists(LinkError):
    """An interface of this name is there already."""


@dataclass(frozen=True)
class Link:
    """A network interface. `mtu` in bytes, `mac` in lower case with colons."""

    index: int
    name: str
    mac: str
    mtu: int
    up: bool
    kind: str = ""


@dataclass(frozen=True)
class Address:
    """An IPv4 address of an interface, e.g. `Address("172.30.0.12/24")`; `permanent` is false for a leased one."""

    interface: ipaddress.IPv4Interface
    scope: int = RT_SCOPE_UNIVERSE
    permanent: bool = True


@dataclass(frozen=True)
class Route:
    """An IPv4 unicast route of the main table. `gateway` and `source` may be empty; `metric` 0 means none."""

    destination: str
    gateway: str = ""
    source: str = ""
    metric: int = 0
    protocol: int = 4
    scope: int = RT_SCOPE_UNIVERSE
    onlink: bool = False


_RTNH_F_ONLINK = 4


class Netlink:
    """An open rtnetlink socket; not to be shared between threads."""

    def __init__(self) -> None:
        self._socket = IPRoute()

    def close(self) -> None:
        self._socket.close()

    # Links

    def links(self) -> list[Link]:
        """All interfaces."""
        return [_link(message) for message in undisturbed(lambda: list(self._socket.get_links()))]

    def link(self, name: str) -> Link | None:
        """The interface of this name, or None."""
        with _failing(f"interface {name}"):
            try:
                messages = list(self._socket.link("get", ifname=name))
            except NetlinkError as error:
                if error.code == errno.ENODEV:
                    return None
                raise
        return _link(messages[0]) if messages else None

    def add_veth(self, name: str, *, mtu: int, peer: str, peer_mac: str, peer_namespace: int) -> None:
        """Create a veth pair whose peer appears at once, under its final name, in the namespace of this descriptor.

        Raises:
            LinkExists: `name` is taken here, or `peer` there.
            LinkError: anything else.
        """
        with _failing(f"veth pair {name} and {peer}"):
            self._socket.link(
                "add",
                ifname=name,
                kind="veth",
                mtu=mtu,
                peer={"ifname": peer, "address": peer_mac, "mtu": mtu, "net_ns_fd": peer_namespace},
            )

    def delete_link(self, name: str) -> bool:
        """Delete an interface; whether there was one."""
        link = self.link(name)
        if link is None:
            return False
        with _failing(f"deleting interface {name}"):
            try:
                self._socket.link("del", index=link.index)
            except NetlinkError as error:
                if error.code == errno.ENODEV:
                    return False
                raise
        return True

    def set_up(self, link: Link, up: bool = True) -> None:
        """Bring an interface up, or down."""
        with _failing(f"interface {link.name} up"):
            self._socket.link("set", index=link.index, state="up" if up else "down")

    def without_ipv6_addresses(self, link: Link) -> None:
        """Let the kernel make no link-local IPv6 address, so that there is no duplicate address detection either."""
        mode = {"attrs": [("IFLA_INET6_ADDR_GEN_MODE", _IN6_ADDR_GEN_MODE_NONE)]}
        with _failing(f"interface {link.name} IPv6 address generation"):
            try:
                self._socket.link("set", index=link.index, IFLA_AF_SPEC={"attrs": [("AF_INET6", mode)]})
            except NetlinkError as error:
                if error.code not in (errno.EAFNOSUPPORT, errno.EOPNOTSUPP):  # a kernel without IPv6
                    raise

    # Addresses

    def addresses(self, link: Link) -> list[Address]:
        """The IPv4 addresses of an interface."""
        with _failing(f"addresses of {link.name}"):
            messages = undisturbed(lambda: list(self._socket.get_addr(family=socket.AF_INET, index=link.index)))
        found = []
        for message in messages:
            if message["index"] != link.index:
                continue
            local = message.get_attr("IFA_LOCAL") or message.get_attr("IFA_ADDRESS")
            interface = ipaddress.IPv4Interface(f"{local}/{message['prefixlen']}")
            found.append(Address(interface, message["scope"], bool(message["flags"] & _IFA_F_PERMANENT)))
        return found

    def static_ipv6_addresses(self, link: Link) -> list[str]:
        """Its IPv6 addresses that somebody has configured: neither link-local nor learnt from a router."""
        with _failing(f"IPv6 addresses of {link.name}"):
            messages = undisturbed(lambda: list(self._socket.get_addr(family=socket.AF_INET6, index=link.index)))
        return [
            f"{message.get_attr('IFA_ADDRESS')}/{message['prefixlen']}"
            for message in messages
            if message["index"] == link.index
            and message["scope"] == RT_SCOPE_UNIVERSE
            and message["flags"] & _IFA_F_PERMANENT
        ]

    def add_address(self, link: Link, interface: ipaddress.IPv4Interface) -> bool:
        """Add an address; false when the interface has it already."""
        with _failing(f"address {interface} on {link.name}"):
            try:
                self._socket.addr(
                    "add",
                    index=link.index,
                    address=str(interface.ip),
                    prefixlen=interface.network.prefixlen,
                    broadcast=str(interface.network.broadcast_address),
                )
            except NetlinkError as error:
                if error.code != errno.EEXIST:
                    raise
                return False
        return True

    def delete_address(self, link: Link, interface: ipaddress.IPv4Interface) -> None:
        """Remove an address; one that is not there is no error."""
        with _failing(f"removing address {interface} from {link.name}"):
            try:
                self._socket.addr(
                    "delete", index=link.index, address=str(interface.ip), prefixlen=interface.network.prefixlen
                )
            except NetlinkError as error:
                if error.code != errno.EADDRNOTAVAIL:
                    raise

    # Routes

    def routes(self, link: Link | None = None) -> list[tuple[int, Route]]:
        """IPv4 unicast routes of the main table with the index of their interface; of one interface if it is given."""
        with _failing("routes"):
            messages = undisturbed(lambda: list(self._socket.get_routes(family=socket.AF_INET, table=RT_TABLE_MAIN)))
        found = []
        for message in messages:
            index = message.get_attr("RTA_OIF")
            if message["type"] != RTN_UNICAST or index is None or (link and index != link.index):
                continue
            if (message.get_attr("RTA_TABLE") or message["table"]) != RT_TABLE_MAIN:
                continue
            destination = f"{message.get_attr('RTA_DST') or '0.0.0.0'}/{message['dst_len']}"
            found.append(
                (
                    index,
                    Route(
                        destination,
                        message.get_attr("RTA_GATEWAY") or "",
                        message.get_attr("RTA_PREFSRC") or "",
                        message.get_attr("RTA_PRIORITY") or 0,
                        message["proto"],
                        message["scope"],
                        bool(message["flags"] & _RTNH_F_ONLINK),
                    ),
                )
            )
        return found

    def replace_route(self, link: Link, route: Route) -> None:
        """Add a route, or change the one of the same destination and metric."""
        request: dict[str, Any] = {
            "dst": route.destination,
            "oif": link.index,
            "proto": route.protocol,
            "scope": route.scope,
        }
        if route.gateway:
            request["gateway"] = route.gateway
        if route.source:
            request["prefsrc"] = route.source
        if route.metric:
            request["priority"] = route.metric
        if route.onlink:
            request["flags"] = _RTNH_F_ONLINK
        with _failing(f"route {route.destination} via {route.gateway or link.name}"):
            self._socket.route("replace", **request)

    def delete_route(self, link: Link, route: Route) -> None:
        """Remove a route; one that is not there is no error. Of another scope it is another route."""
        request: dict[str, Any] = {"dst": route.destination, "oif": link.index, "scope": route.scope}
        if route.gateway:
            request["gateway"] = route.gateway
        if route.metric:
            request["priority"] = route.metric
        with _failing(f"removing route {route.destination}"):
            try:
                self._socket.route("del", **request)
            except NetlinkError as error:
                if error.code != errno.ESRCH:
                    raise


@contextmanager
def netlink() -> Iterator[Netlink]:
    """A netlink socket in the calling thread's network namespace."""
    handle = Netlink()
    try:
        yield handle
    finally:
        handle.close()


@contextmanager
def _failing(what: str) -> Iterator[None]:
    try:
        yield
    except NetlinkError as error:
        kind = LinkExists if error.code == errno.EEXIST else LinkError
        raise kind(f"{what}: {error.args[-1] if error.args else error}") from error


def _link(message: Any) -> Link:
    information = message.get_attr("IFLA_LINKINFO")
    return Link(
        message["index"],
        message.get_attr("IFLA_IFNAME"),
        (message.get_attr("IFLA_ADDRESS") or "").lower(),
        message.get_attr("IFLA_MTU") or 0,
        bool(message["flags"] & _IFF_UP),
        (information.get_attr("IFLA_INFO_KIND") or "") if information is not None else "",
    )
