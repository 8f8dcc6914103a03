# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""A pod's veth pair: made, configured, looked at and removed with netlink."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Interface

from ovn_k8s.netlink import ethtool, host_stack
from ovn_k8s.netlink.links import Link, LinkError, Netlink, Route, netlink
from ovn_k8s.netlink.namespace import Namespace

_HOST_INTERFACE = re.compile(r"pod[0-9a-f]{12}")


@dataclass(frozen=True)
class PodInterface:
    """How the interface in the pod shall be. `userspace`: Open vSwitch reads its packets through a packet socket."""

    host_interface: str
    ifname: str
    mac: str
    address: IPv4Interface
    gateway: IPv4Address
    mtu: int
    userspace: bool


def host_interface(container_id: str, ifname: str) -> str:
    """The name of the node's end: the same for each call about the same interface, 15 characters."""
    return "pod" + hashlib.sha256(f"{container_id}/{ifname}".encode()).hexdigest()[:12]


def create(pod: PodInterface, namespace: Namespace) -> Link:
    """Make the pair, both ends down; the node's end is returned.

    Raises:
        LinkExists: the pod has an interface of this name already.
        LinkError: the kernel refused.
    """
    with netlink() as node:
        node.delete_link(pod.host_interface)  # left over from an agent that was killed
        node.add_veth(pod.host_interface, mtu=pod.mtu, peer=pod.ifname, peer_mac=pod.mac, peer_namespace=namespace.fd)
        link = _existing(node, pod.host_interface)
        node.without_ipv6_addresses(link)
        if pod.userspace:
            host_stack.write(pod.host_interface, host_stack.SILENT)
        node.set_up(link)
        return link


def configure(pod: PodInterface, namespace: Namespace) -> None:
    """Give the pod's end its address and routes, and bring it up. Raises LinkError, NamespaceError or OSError."""

    def inside() -> None:
        with netlink() as sandbox:
            sandbox.set_up(_existing(sandbox, "lo"))
            link = _existing(sandbox, pod.ifname)
            if pod.userspace:
                ethtool.set_transmit_checksum(pod.ifname, False)
            sandbox.without_ipv6_addresses(link)
            sandbox.add_address(link, pod.address)
            sandbox.set_up(link)
            sandbox.replace_route(link, Route("0.0.0.0/0", str(pod.gateway)))

    namespace.run(inside)


def defects(pod: PodInterface, namespace: Namespace) -> list[str]:
    """What differs from how the interface shall be, in words; empty when all is right."""

    def inside() -> list[str]:
        with netlink() as sandbox:
            link = sandbox.link(pod.ifname)
            if link is None:
                return [f"{pod.ifname} is missing"]
            found = []
            if not link.up:
                found.append(f"{pod.ifname} is down")
            if link.mac != pod.mac:
                found.append(f"{pod.ifname} has MAC {link.mac}, not {pod.mac}")
            if pod.address not in [address.interface for address in sandbox.addresses(link)]:
                found.append(f"{pod.ifname} lacks the address {pod.address}")
            routes = [(route.destination, route.gateway) for _, route in sandbox.routes(link)]
            if ("0.0.0.0/0", str(pod.gateway)) not in routes:
                found.append(f"the default route via {pod.gateway} is missing")
            return found

    problems = namespace.run(inside)
    with netlink() as node:
        link = node.link(pod.host_interface)
    if link is None:
        problems.append(f"the node's end {pod.host_interface} is missing")
    elif not link.up:
        problems.append(f"the node's end {pod.host_interface} is down")
    return problems


def host_mac(name: str) -> str:
    """The MAC of the node's end, or an empty string."""
    with netlink() as node:
        link = node.link(name)
    return link.mac if link else ""


def delete(name: str) -> bool:
    """Remove the pair by the node's end; whether there was one."""
    with netlink() as node:
        return node.delete_link(name)


def present() -> set[str]:
    """The node's ends of all pod interfaces that are there."""
    with netlink() as node:
        return {link.name for link in node.links() if link.kind == "veth" and _HOST_INTERFACE.fullmatch(link.name)}


def _existing(handle: Netlink, name: str) -> Link:
    link = handle.link(name)
    if link is None:
        raise LinkError(f"interface {name} is not there")
    return link
