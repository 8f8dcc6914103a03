# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""All that the kernel knows of an interface: addresses, routes and rules of both families, and its settings.

It is read as plain values that can be kept in a file, and given to another interface. What the kernel makes by itself
(link-local addresses, routes of networks) is left out, because it makes it again.
"""

from __future__ import annotations

import dataclasses
import errno
import ipaddress
import socket
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pyroute2 import IPRoute
from pyroute2.netlink.exceptions import NetlinkError

from ovn_k8s.netlink.dumps import undisturbed

from .errors import UplinkError

FAMILIES = (socket.AF_INET, socket.AF_INET6)
FOREVER = 0xFFFFFFFF
_IFA_F_TEMPORARY, _IFA_F_NODAD, _IFA_F_PERMANENT = 0x01, 0x02, 0x80
_IFA_F_MANAGETEMPADDR, _IFA_F_NOPREFIXROUTE, _IFA_F_STABLE_PRIVACY = 0x100, 0x200, 0x800
_KEPT_FLAGS = _IFA_F_MANAGETEMPADDR | _IFA_F_NOPREFIXROUTE
_SCOPE_LINK = 253
_RTN_UNICAST = 1
_RTPROT_KERNEL, _RTPROT_RA, _RTPROT_DHCP = 2, 9, 16
_RTM_F_CLONED = 0x200
_RTNH_F_ONLINK = 4
_TABLE_MAIN, _TABLE_LOCAL = 254, 255
_METRIC_OF_IPV6 = 1024
"""What the kernel takes for a route of IPv6 without metric."""
_PROC = Path("/proc/sys/net")
SETTINGS = (
    *(f"ipv4/{name}" for name in ("rp_filter", "arp_ignore", "arp_announce", "arp_filter", "accept_local")),
    *(f"ipv4/{name}" for name in ("proxy_arp", "accept_redirects", "send_redirects", "log_martians")),
    *(f"ipv6/{name}" for name in ("disable_ipv6", "accept_ra", "autoconf", "use_tempaddr", "accept_redirects")),
)
"""Settings that go with the addresses (Documentation/networking/ip-sysctl.rst), as family/name."""


@dataclass(frozen=True)
class Address:
    """An address; lifetimes in seconds. `dynamic`: leased, or learnt from a router."""

    family: int
    address: str
    prefix: int
    scope: int = 0
    peer: str = ""
    broadcast: str = ""
    flags: int = 0
    valid: int = FOREVER
    preferred: int = FOREVER

    @property
    def dynamic(self) -> bool:
        return self.valid != FOREVER

    @property
    def key(self) -> tuple[str, int]:
        """What makes it one address of an interface."""
        return self.address, self.prefix

    def __str__(self) -> str:
        return f"{self.address}/{self.prefix}"


@dataclass(frozen=True)
class Route:
    """A unicast route. `destination` is a network; empty texts and zeros are not there."""

    family: int
    destination: str
    gateway: str = ""
    source: str = ""
    metric: int = 0
    table: int = _TABLE_MAIN
    protocol: int = 4
    scope: int = 0
    onlink: bool = False
    tos: int = 0
    metrics: Mapping[str, int] = field(default_factory=dict)

    @property
    def dynamic(self) -> bool:
        return self.protocol in (_RTPROT_RA, _RTPROT_DHCP)

    @property
    def default(self) -> bool:
        return self.destination.endswith("/0") and self.table == _TABLE_MAIN

    @property
    def key(self) -> tuple[int, str, int, int, int]:
        """Two routes of one key cannot be there together, but for several next hops."""
        metric = self.metric or (_METRIC_OF_IPV6 if self.family == socket.AF_INET6 else 0)
        return self.family, self.destination, self.table, metric, self.tos

    def __str__(self) -> str:
        return f"{self.destination} via {self.gateway}" if self.gateway else self.destination


@dataclass(frozen=True)
class Rule:
    """A routing rule that names an interface, `incoming` or else outgoing; the attributes as netlink has them."""

    family: int
    incoming: bool
    header: Mapping[str, int]
    attributes: Mapping[str, int | str]


@dataclass(frozen=True)
class Facts:
    """What an interface has. `mtu` in bytes."""

    addresses: tuple[Address, ...] = ()
    routes: tuple[Route, ...] = ()
    rules: tuple[Rule, ...] = ()
    settings: Mapping[str, str] = field(default_factory=dict)
    mtu: int = 1500
    mac: str = ""

    def document(self) -> dict[str, Any]:
        """For a JSON file."""
        return dataclasses.asdict(self)

    @classmethod
    def parse(cls, document: Mapping[str, Any]) -> Facts:
        """The reverse of `document`."""
        return cls(
            tuple(Address(**entry) for entry in document["addresses"]),
            tuple(Route(**entry) for entry in document["routes"]),
            tuple(Rule(**entry) for entry in document["rules"]),
            dict(document["settings"]),
            document["mtu"],
            document["mac"],
        )


def default_metric(facts: Facts, family: int = 0) -> int:
    """The metric of the default route, of a family or of whichever has one; 0 without."""
    found = (route.metric for route in facts.routes if route.default and route.metric and family in (0, route.family))
    return next(found, 0)


@dataclass(frozen=True)
class Interface:
    """A link. `master` is the name of the bridge or bond that has it, or empty."""

    index: int
    name: str
    mac: str
    mtu: int
    up: bool
    master: str = ""


class Kernel:
    """An open rtnetlink socket; not to be shared between threads."""

    def __init__(self) -> None:
        self._socket = IPRoute()

    def close(self) -> None:
        self._socket.close()

    def names(self) -> list[str]:
        """All interfaces."""
        return sorted(str(message.get_attr("IFLA_IFNAME")) for message in self._links())

    def interface(self, name: str) -> Interface | None:
        """The interface of this name, or None."""
        for message in self._links():
            if message.get_attr("IFLA_IFNAME") == name:
                return self._interface(message)
        return None

    def _links(self) -> list[Any]:
        return self._dump(self._socket.get_links)

    def _dump(self, get: Callable[..., Iterable[Any]], **which: Any) -> list[Any]:
        return undisturbed(lambda: list(get(**which)))

    def _interface(self, message: Any) -> Interface:
        master = message.get_attr("IFLA_MASTER")
        name = self._socket.get_links(master)[0].get_attr("IFLA_IFNAME") if master else ""
        return Interface(
            message["index"],
            message.get_attr("IFLA_IFNAME"),
            (message.get_attr("IFLA_ADDRESS") or "").lower(),
            message.get_attr("IFLA_MTU") or 1500,
            bool(message["flags"] & 1),
            name,
        )

    def set_up(self, interface: Interface) -> None:
        """Bring it up."""
        with _failing(f"{interface.name} up"):
            self._socket.link("set", index=interface.index, state="up")

    # Reading

    def facts(self, interface: Interface) -> Facts:
        """All of an interface."""
        return Facts(
            tuple(self.addresses(interface)),
            tuple(self.routes(interface)),
            tuple(self.rules(interface.name)),
            read_settings(interface.name),
            interface.mtu,
            interface.mac,
        )

    def addresses(self, interface: Interface) -> Iterator[Address]:
        """Its addresses, without those that the kernel makes of the MAC.

        NetworkManager makes the routes to their networks in the kernel's stead and in its name. Such an address leaves
        them to the kernel here, so that it has them wherever it goes, and they end with it.
        """
        for family in FAMILIES:
            connected = self._connected(interface, family)
            for message in self._dump(self._socket.get_addr, family=family, index=interface.index):
                if message["index"] != interface.index:
                    continue
                flags = message.get_attr("IFA_FLAGS") or message["flags"]
                local = message.get_attr("IFA_LOCAL") or message.get_attr("IFA_ADDRESS")
                if family == socket.AF_INET6 and message["scope"] == _SCOPE_LINK and _made(local, interface, flags):
                    continue
                if family == socket.AF_INET6 and flags & _IFA_F_TEMPORARY:  # the same bit says secondary for IPv4
                    continue
                if ipaddress.ip_network(f"{local}/{message['prefixlen']}", strict=False) in connected:
                    flags &= ~_IFA_F_NOPREFIXROUTE
                peer = message.get_attr("IFA_ADDRESS")
                times = message.get_attr("IFA_CACHEINFO") or {}
                permanent = bool(flags & _IFA_F_PERMANENT)
                yield Address(
                    int(family),
                    local,
                    message["prefixlen"],
                    message["scope"],
                    peer if peer != local else "",
                    message.get_attr("IFA_BROADCAST") or "",
                    flags & _KEPT_FLAGS,
                    FOREVER if permanent else times.get("ifa_valid", FOREVER),
                    times.get("ifa_preferred", times.get("ifa_prefered", FOREVER)),
                )

    def _connected(self, interface: Interface, family: int) -> set[ipaddress.IPv4Network | ipaddress.IPv6Network]:
        """The networks that it is in by routes of the kernel, or in its name."""
        return {
            ipaddress.ip_network(f"{message.get_attr('RTA_DST')}/{message['dst_len']}")
            for message in self._dump(self._socket.get_routes, family=family)
            if message.get_attr("RTA_OIF") == interface.index
            and message["proto"] == _RTPROT_KERNEL
            and message["type"] == _RTN_UNICAST
            and message["dst_len"]
        }

    def routes(self, interface: Interface) -> Iterator[Route]:
        """The unicast routes through it that somebody has set or that were learnt. Raises UplinkError for one that
        cannot be moved."""
        for family in FAMILIES:
            for message in self._dump(self._socket.get_routes, family=family):
                several = message.get_attr("RTA_MULTIPATH") or []
                mine = message.get_attr("RTA_OIF") == interface.index
                if not mine and not any(hop["oif"] == interface.index for hop in several):
                    continue
                table = message.get_attr("RTA_TABLE") or message["table"]
                if (
                    message["type"] != _RTN_UNICAST
                    or message["proto"] == _RTPROT_KERNEL
                    or table == _TABLE_LOCAL
                    or message["flags"] & _RTM_F_CLONED
                ):
                    continue
                wide = "0.0.0.0" if family == socket.AF_INET else "::"
                destination = f"{message.get_attr('RTA_DST') or wide}/{message['dst_len']}"
                for attribute, what in (
                    ("RTA_MULTIPATH", "several next hops"),
                    ("RTA_VIA", "a next hop of the other family"),
                    ("RTA_ENCAP", "an encapsulation"),
                ):
                    if message.get_attr(attribute):
                        raise UplinkError(
                            f"{interface.name}: route {destination} has {what}, which cannot be moved; remove it first"
                        )
                metrics = message.get_attr("RTA_METRICS")
                yield Route(
                    int(family),
                    destination,
                    message.get_attr("RTA_GATEWAY") or "",
                    message.get_attr("RTA_PREFSRC") or "",
                    message.get_attr("RTA_PRIORITY") or 0,
                    table,
                    message["proto"],
                    message["scope"],
                    bool(message["flags"] & _RTNH_F_ONLINK),
                    message["tos"],
                    {key.removeprefix("RTAX_").lower(): value for key, value in metrics["attrs"]} if metrics else {},
                )

    def rules(self, name: str) -> Iterator[Rule]:
        """The rules that name it."""
        for family in FAMILIES:
            for message in self._dump(self._socket.get_rules, family=family):
                attributes = {
                    key: value
                    for key, value in message["attrs"]
                    if isinstance(value, (int, str)) and key not in ("FRA_PAD",)
                }
                for incoming, key in ((True, "FRA_IIFNAME"), (False, "FRA_OIFNAME")):
                    if attributes.get(key) == name:
                        rest = {other: value for other, value in attributes.items() if other != key}
                        header = {part: message[part] for part in ("src_len", "dst_len", "tos", "action", "flags")}
                        yield Rule(int(family), incoming, header, rest)

    # Giving

    def add_address(self, interface: Interface, address: Address) -> None:
        """Give it the address; one that is there is left as it is."""
        request: dict[str, Any] = {
            "index": interface.index,
            "family": address.family,
            "address": address.address,
            "prefixlen": address.prefix,
            "scope": address.scope,
        }
        if address.peer:
            request["local"], request["address"] = address.address, address.peer
        if address.broadcast:
            request["broadcast"] = address.broadcast
        # nobody else has had it, so there is nothing to detect, and it can be used at once
        flags = address.flags | (_IFA_F_NODAD if address.family == socket.AF_INET6 else 0)
        if flags:
            request["IFA_FLAGS"] = flags
        if address.dynamic:
            request["IFA_CACHEINFO"] = {
                "ifa_valid": address.valid,
                "ifa_preferred": address.preferred,
                "ifa_prefered": address.preferred,
            }
        with _failing(f"address {address} on {interface.name}", errno.EEXIST):
            self._socket.addr("add", **request)

    def flush(self, interface: Interface) -> None:
        """Take its addresses away, and with them the routes that hang on them."""
        with _failing(f"addresses of {interface.name}"):
            undisturbed(lambda: self._socket.flush_addr(index=interface.index))

    def replace_route(self, interface: Interface, route: Route) -> None:
        """Add the route; one of the same key moves here."""
        request: dict[str, Any] = {
            "family": route.family,
            "dst": route.destination,
            "oif": interface.index,
            "table": route.table,
            "proto": route.protocol,
            "scope": route.scope,
        }
        for key, value in (
            ("gateway", route.gateway),
            ("prefsrc", route.source),
            ("priority", route.metric),
            ("tos", route.tos),
            ("flags", _RTNH_F_ONLINK if route.onlink else 0),
            ("metrics", dict(route.metrics)),
        ):
            if value:
                request[key] = value
        with _failing(f"route {route} on {interface.name}"):
            self._socket.route("replace", **request)

    def move_rule(self, rule: Rule, old: str, new: str) -> None:
        """Have the rule name another interface."""
        request = {**rule.header, **{key.removeprefix("FRA_").lower(): v for key, v in rule.attributes.items()}}
        name = "iifname" if rule.incoming else "oifname"
        with _failing(f"rule for {new}", errno.EEXIST):
            self._socket.rule("add", family=rule.family, **request, **{name: new})
        with _failing(f"rule for {old}", errno.ENOENT):
            self._socket.rule("del", family=rule.family, **request, **{name: old})


@contextmanager
def kernel() -> Iterator[Kernel]:
    """A netlink socket in the calling thread's network namespace."""
    handle = Kernel()
    try:
        yield handle
    finally:
        handle.close()


def read_settings(name: str) -> dict[str, str]:
    """The settings of an interface that the kernel has."""
    paths = {setting: _setting(name, setting) for setting in SETTINGS}
    return {setting: path.read_text("ascii").strip() for setting, path in paths.items() if path.exists()}


def write_settings(name: str, values: Mapping[str, str]) -> None:
    """Set those that differ."""
    present = read_settings(name)
    for setting, value in values.items():
        if setting in present and present[setting] != value:
            _setting(name, setting).write_text(value, "ascii")


def _setting(name: str, setting: str) -> Path:
    family, _, key = setting.partition("/")
    return _PROC / family / "conf" / name / key


def _made(local: str, interface: Interface, flags: int) -> bool:
    """Whether the kernel, or a network manager in its stead, makes this link-local address by itself."""
    octets = [int(part, 16) for part in interface.mac.split(":")] if interface.mac else []
    if flags & _IFA_F_STABLE_PRIVACY or len(octets) != 6:
        return True
    derived = bytes([octets[0] ^ 2, *octets[1:3], 0xFF, 0xFE, *octets[3:]])
    return ipaddress.IPv6Address(local).packed[8:] == derived


@contextmanager
def _failing(what: str, *tolerated: int) -> Iterator[None]:
    try:
        yield
    except NetlinkError as error:
        if error.code not in tolerated:
            raise UplinkError(f"{what}: {error.args[-1] if error.args else error}") from error
