# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""What the flows depend on, read from the kernel and from the bridge, and being told when it changes."""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, collapse_addresses

from ovn_k8s.core.gateway_announcement import Announcement
from ovn_k8s.core.gateway_flows import SharedBridge
from ovn_k8s.netlink.links import RT_SCOPE_UNIVERSE, Netlink
from ovn_k8s.openflow.messages import Port

from .config import LONGEST_NAME, Config

_GROUP_LINK, _GROUP_ADDRESS, _GROUP_ROUTE = 0x1, 0x10, 0x40
_NETLINK_NETFILTER, _GROUP_NFTABLES = 12, 1 << 6
MOST_NETWORKS = 500
"""Flows that a routing table may take, each a network that is the node's."""
_DEFAULT_ROUTE = "0.0.0.0/0"
_LOOPBACK = IPv4Network("127.0.0.0/8")


class NotReady(Exception):
    """The bridge is not what the configuration says; nothing is changed on it. The message says what is missing."""


@dataclass(frozen=True)
class Facts:
    """`announcement` is None while the bridge has no address."""

    bridge: SharedBridge
    announcement: Announcement | None


def read_facts(config: Config, handle: Netlink, ports: Mapping[str, Port], logical: IPv4Address | None) -> Facts:
    """The present facts. `logical` is the address that OVN knows, None when that is not known.

    Raises:
        NotReady: the bridge does not have the interface that the configuration names.
        LinkError: the kernel refused.
    """
    wire = ports.get(config.interface)
    if wire is None:
        raise NotReady(
            f"bridge {config.bridge} has no port {config.interface}; `ovn-k8s-overlay nics-to-bridge` adds it"
        )
    link = handle.link(config.bridge)
    if link is None:
        raise NotReady(f"the bridge's own interface {config.bridge} is not there yet")
    # OpenFlow cuts names to 15 bytes; only one patch port of this bridge has this beginning.
    patch = ports.get(config.patch_port) or ports.get(config.patch_port[:LONGEST_NAME])
    present = handle.addresses(link)
    own = [a.interface for a in present if a.scope == RT_SCOPE_UNIVERSE]
    # OVN's address first as long as the bridge has it: a second address is not a change of address.
    own.sort(key=lambda interface: interface.ip != logical)
    others = {IPv4Network(a.interface.ip) for a in present if a.scope != RT_SCOPE_UNIVERSE}
    routes = handle.routes()
    if config.external is None:  # otherwise all that is not external is the node's anyway
        others.update(_elsewhere(config, handle, link.index))
    addresses = tuple(dict.fromkeys(interface.ip for interface in own))
    bridge = SharedBridge(
        wire=wire.number,
        pods=patch.number if patch else None,
        mac=link.mac,
        addresses=addresses,
        logical_address=logical if addresses and logical != addresses[0] else None,
        other_addresses=_few(others - {IPv4Network(address) for address in addresses}),
        external=config.external,
        zone=config.zone,
        node_ports=config.node_ports,
        tunnel_ports=config.tunnel_ports,
        masquerade=config.masquerade,
    )
    gateways = [
        IPv4Address(route.gateway)
        for index, route in sorted(routes, key=lambda entry: entry[1].metric)
        if index == link.index and route.destination == _DEFAULT_ROUTE and route.gateway
    ]
    announcement = Announcement(config.bridge, own[0], gateways[0] if gateways else None, link.mac) if own else None
    return Facts(bridge, announcement)


def _elsewhere(config: Config, handle: Netlink, bridge_index: int) -> Iterator[IPv4Network]:
    """The node's addresses on other interfaces, and the networks that it reaches through them."""
    for link in handle.links():
        if link.index == bridge_index:
            continue
        for address in handle.addresses(link):
            if address.interface.ip not in _LOOPBACK:
                yield IPv4Network(address.interface.ip)
    for index, route in handle.routes():
        network = IPv4Network(route.destination)
        if index != bridge_index and network.prefixlen and not network.overlaps(config.masquerade):
            yield network


def _few(networks: set[IPv4Network]) -> tuple[IPv4Network, ...]:
    """The networks without those that lie in others."""
    collapsed = tuple(collapse_addresses(networks))
    if len(collapsed) > MOST_NETWORKS:
        raise NotReady(
            f"the node routes to {len(collapsed)} networks through other interfaces, more than {MOST_NETWORKS}: name "
            "the networks of LoadBalancer and external addresses in the setting `external`; all else is the node's then"
        )
    return collapsed


class KernelEvents:
    """A socket that becomes readable when something of the kernel changes (netlink(7)).

    Only that something has changed is taken from it; what is there now is read anew.
    """

    def __init__(self, family: int, groups: int) -> None:
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, family)
        self._socket.bind((0, groups))
        self._socket.setblocking(False)

    @classmethod
    def of_network(cls) -> KernelEvents:
        """Links, IPv4 addresses and routes (rtnetlink(7))."""
        return cls(socket.NETLINK_ROUTE, _GROUP_LINK | _GROUP_ADDRESS | _GROUP_ROUTE)

    @classmethod
    def of_packet_filter(cls) -> KernelEvents:
        """The tables of nftables (linux/netfilter/nfnetlink.h)."""
        return cls(_NETLINK_NETFILTER, _GROUP_NFTABLES)

    def fileno(self) -> int:
        """For select()."""
        return self._socket.fileno()

    def drain(self) -> bool:
        """Take all that has come; whether there was any. Lost messages (ENOBUFS) are as good as one that came."""
        some = False
        while True:
            try:
                self._socket.recv(65536)
            except BlockingIOError:
                return some
            except OSError:
                pass
            some = True

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()


class Wakeup:
    """Lets another thread end a select()."""

    def __init__(self) -> None:
        self._reader, self._writer = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)

    def fileno(self) -> int:
        """For select()."""
        return self._reader

    def set(self) -> None:
        """End the select; from any thread or signal handler."""
        with contextlib.suppress(BlockingIOError):
            os.write(self._writer, b"x")

    def drain(self) -> None:
        """Be ready for the next one."""
        with contextlib.suppress(BlockingIOError):
            while os.read(self._reader, 4096):
                pass

    def close(self) -> None:
        """Close both ends."""
        os.close(self._reader)
        os.close(self._writer)
