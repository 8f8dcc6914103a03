# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""What a node's kernel does for services: a table of the packet filter, and forwarding of node ports.

Load balancing is the network's. The rules do not depend on what services there are:

* A process that asks a service whose endpoint is its own node gets its packets back from the network with the node's
  own address as source, which the kernel would not take. They get a link-local one, and answers lose it again. This
  is done to each packet, before connection tracking and after it, so that one connection stays one to the network.
* Node ports at the node's address become node ports at an address that the network has load balancers for.
* What begins here or is let through goes into the network with the address that leads back to this node. Answers
  keep the address that was asked, so that also servers of datagrams that are bound to none answer rightly.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from ipaddress import IPv4Address

from ovn_k8s.core.gateway_flows import DEFAULT_NODE_PORTS
from ovn_k8s.core.node_services import NODE_ITSELF, NODE_PORTS_OUTSIDE, NODE_PORTS_WITHIN
from ovn_k8s.netlink import host_stack, packet_filter
from ovn_k8s.netlink.links import Netlink
from ovn_k8s.netlink.packet_filter import FilterError

from .config import NodeConfig
from .errors import HostError
from .recorder import Recorder

TABLE = "ovn_k8s_node"
_AFTER_TRANSLATION = 300
"""A priority of the hook postrouting behind that of source translation (100)."""


@dataclass(frozen=True)
class Chain:
    """A base chain: its name, its hook as nft writes it, and its rules."""

    name: str
    hook: str
    rules: tuple[str, ...]


def holder(handle: Netlink, config: NodeConfig) -> str:
    """The interface that has the node's address, or will have it; empty when none has."""
    if config.node_ip is None:
        return ""
    if config.underlay and config.underlay.address.ip == config.node_ip:
        return config.underlay.bridge
    for link in handle.links():
        if any(address.interface.ip == config.node_ip for address in handle.addresses(link)):
            return link.name
    return ""


def chains(config: NodeConfig, guarded: str) -> Iterator[Chain]:
    """The table. `guarded` is an interface that forwards for the sake of node ports only, or empty."""
    inside, own = f'"{config.management_interface}"', config.management_address.ip
    yield Chain(
        "returning",
        "filter hook prerouting priority raw",
        (f"iifname {inside} ip saddr {own} ip saddr set {NODE_ITSELF}",),
    )
    yield Chain(
        "answering",
        f"filter hook postrouting priority {_AFTER_TRANSLATION}",
        (f"oifname {inside} ip daddr {NODE_ITSELF} ip daddr set {own}",),
    )
    yield Chain(
        "as_the_node",
        "nat hook postrouting priority srcnat",
        (f"oifname {inside} ip saddr != {own} ip daddr != {config.subnet} snat to {own}",),
    )
    if config.node_ip:
        yield from _node_ports(config.node_ip, inside, guarded)


def _node_ports(address: IPv4Address, inside: str, guarded: str) -> Iterator[Chain]:
    first, last = DEFAULT_NODE_PORTS
    ports = f"th dport {first}-{last}"
    asked = f'iifname != {{ {inside}, "lo" }} ip daddr {address}'
    yield Chain(
        "from_outside",
        "nat hook prerouting priority dstnat",
        (
            f"{asked} meta l4proto {{ tcp, udp }} {ports} socket wildcard 0 accept",
            f"{asked} meta l4proto {{ tcp, udp }} {ports} socket wildcard 1 accept",
            f"{asked} meta l4proto {{ tcp, udp, sctp }} {ports} dnat to {NODE_PORTS_OUTSIDE}",
        ),
    )
    yield Chain(
        "from_the_node",
        "nat hook output priority -100",
        (f"ip daddr {address} meta l4proto {{ tcp, udp, sctp }} {ports} dnat to {NODE_PORTS_WITHIN}",),
    )
    names = (inside, *((f'"{guarded}"',) if guarded else ()))
    foreign = "ct status & dnat == 0 drop"
    yield Chain(
        "transit",
        "filter hook forward priority filter",
        (f"oifname {inside} {foreign}", *(f"iifname {name} {foreign}" for name in names)),
    )


def rules(wanted: tuple[Chain, ...]) -> str:
    """The table in nft's language (nft(8)), replaced in one step."""
    lines = [f"add table ip {TABLE}", f"delete table ip {TABLE}", f"table ip {TABLE} {{"]
    for chain in wanted:
        lines += [f"  chain {chain.name} {{", f"    type {chain.hook}; policy accept;"]
        lines += [f'    {rule} comment "{mark(chain, rule)}"' for rule in chain.rules]
        lines.append("  }")
    return "\n".join([*lines, "}", ""])


def mark(chain: Chain, rule: str) -> str:
    """The comment by which a rule is known again, since nft writes rules in words that differ between its versions."""
    return hashlib.sha256(f"{chain.name} {chain.hook} {rule}".encode()).hexdigest()[:16]


def serve(handle: Netlink, config: NodeConfig, recorder: Recorder) -> None:
    """Make table and forwarding what they shall be.

    A machine that forwards anyway is left to its administrator; else what comes in by the interface with the node's
    address is forwarded if it is for a node port, and nothing else.

    Raises:
        HostError: nft refused, or is not there.
    """
    outside = holder(handle, config)
    guarded = outside if not host_stack.forwards_everywhere() else ""
    wanted = tuple(chains(config, guarded))
    if packet_filter.comments("ip", TABLE) != [mark(chain, rule) for chain in wanted for rule in chain.rules]:
        recorder.change(f"packet filter: table {TABLE} written", partial(_load, rules(wanted)))
    for name in (outside, config.management_interface) if guarded else ():
        if not host_stack.forwards(name):
            recorder.change(f"{name}: forwards node ports", partial(host_stack.set_forwarding, name, True))


def leave(handle: Netlink, config: NodeConfig, recorder: Recorder) -> None:
    """Take table and forwarding away.

    Raises:
        HostError: nft refused.
    """
    outside = holder(handle, config)
    if packet_filter.comments("ip", TABLE) is not None:
        recorder.change(f"packet filter: table {TABLE} removed", partial(_load, f"delete table ip {TABLE}\n"))
        if outside and host_stack.forwards(outside) and not host_stack.forwards_everywhere():
            recorder.change(f"{outside}: forwards no longer", partial(host_stack.set_forwarding, outside, False))


def _load(text: str) -> None:
    try:
        packet_filter.load(text)
    except FilterError as error:
        raise HostError(f"packet filter: {error}") from error
