# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""What a node says about its own network: its port, its routes, its settings."""

from __future__ import annotations

import fcntl
import socket
import struct
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path

from .results import FAILED, OK, Result

SUBNET_RECORD = "/var/lib/ovn-k8s/node-subnet"
SIOCGIFADDR = 0x8915
ROUTE_UP = 0x1


@dataclass(frozen=True)
class Route:
    """A line of /proc/net/route. gateway: None for a directly attached network."""

    destination: IPv4Network
    gateway: IPv4Address | None
    interface: str

    def __str__(self) -> str:
        way = f" via {self.gateway}" if self.gateway else ""
        return f"{self.destination}{way} dev {self.interface}"


@dataclass(frozen=True)
class NodeSettings:
    """The part of /etc/ovn-k8s/node.toml that the checks need."""

    subnet: IPv4Network
    networks: tuple[IPv4Network, ...]
    interface: str
    mtu: int

    @property
    def router(self) -> IPv4Address:
        return self.subnet[1]

    @property
    def address(self) -> IPv4Address:
        return self.subnet[2]


def read_settings(path: str, record: str = SUBNET_RECORD) -> NodeSettings:
    """Raises OSError, or ValueError and KeyError when a file is not what it should be.

    `record` has the node's subnet when the first file does not say it.
    """
    content = tomllib.loads(Path(path).read_text(encoding="utf-8"))
    subnet = content.get("node_subnet") or Path(record).read_text(encoding="ascii").strip()
    return NodeSettings(
        IPv4Network(subnet),
        (IPv4Network(content["cluster_cidr"]), IPv4Network(content["service_cidr"])),
        f"k8s-{content['node_name'][:11]}",
        int(content["mtu"]),
    )


def parse_routes(text: str) -> list[Route]:
    """The main table, from the content of /proc/net/route (addresses are little-endian hex; see proc_net_route(5))."""
    routes = []
    for line in text.splitlines()[1:]:
        fields = line.split()
        if len(fields) < 8 or not int(fields[3], 16) & ROUTE_UP:
            continue
        destination, gateway, mask = (struct.pack("<L", int(fields[place], 16)) for place in (1, 2, 7))
        network = IPv4Network((destination, bin(int.from_bytes(mask)).count("1")))
        via = IPv4Address(gateway)
        routes.append(Route(network, via if int(via) else None, fields[0]))
    return routes


def interface_address(interface: str) -> IPv4Address | None:
    """The first IPv4 address of an interface, None when it has none or does not exist."""
    request = struct.pack("256s", interface.encode()[:15])
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        try:
            answer = fcntl.ioctl(any_socket.fileno(), SIOCGIFADDR, request)
        except OSError:
            return None
    return IPv4Address(answer[20:24])


def interface_mtu(interface: str) -> int | None:
    try:
        return int(Path(f"/sys/class/net/{interface}/mtu").read_text(encoding="ascii"))
    except (OSError, ValueError):
        return None


def check_routes(
    node: str, settings: NodeSettings, routes: Iterable[Route], address: IPv4Address | None, mtu: int | None
) -> Result:
    """Whether the node's port has its address and MTU, and the pods' and services' networks go by way of it."""
    listed = list(routes)
    wrong = []
    if address != settings.address:
        wrong.append(f"{settings.interface} has the address {address}, expected {settings.address}")
    if mtu is not None and mtu != settings.mtu:
        wrong.append(f"{settings.interface} has MTU {mtu}, expected {settings.mtu}")
    for network in settings.networks:
        wanted = Route(network, settings.router, settings.interface)
        found = [route for route in listed if route.destination == network]
        if wanted not in found:
            wrong.append(f"expected {wanted}, found {', '.join(str(route) for route in found) or 'none'}")
    hint = f"on {node}: ip address; ip route; journalctl -u ovn-k8s-overlay; then systemctl restart ovn-k8s-overlay"
    if wrong:
        return Result("routes", node, settings.interface, FAILED, "; ".join(wrong), hint)
    networks = ", ".join(str(network) for network in settings.networks)
    return Result("routes", node, settings.interface, OK, f"{settings.address}, {networks} via {settings.router}")
