# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""Namespaces whose pods leave the cluster by one gateway, with one address.

A routing policy of the cluster router stands above its routes and takes what the namespace's pods send out of the
cluster to the chosen gateway; what stays inside is left to the routes. Where the address is not the gateway's own,
source NAT for each pod stands above that for the whole cluster: the longest `logical_ip` counts (ovn-nb(5)).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Interface

from .database import Database
from .gateway_duties import outside, present_order
from .policies import EGRESS_ANNOTATIONS, digest
from .rows import Parent, Row
from .topology import gateway_router, join_port

KIND = "egress"
GATEWAY_ANNOTATION, ADDRESS_ANNOTATION = EGRESS_ANNOTATIONS
PRIORITY = 200
"""Below the hybrid overlay's policies, above all routes."""


@dataclass(frozen=True)
class Exit:
    """A gateway, as a way out: its address outside, with its network, and its router's in the join network."""

    name: str
    outside: IPv4Interface
    join: IPv4Interface


@dataclass(frozen=True)
class Inside:
    """What is no way out: addresses and networks that pods reach without a gateway, sorted."""

    networks: tuple[str, ...]


class NoExit(Exception):
    """What was asked for cannot be had; the message says why."""


def exits(database: Database) -> tuple[Exit, ...]:
    """Every gateway that has a router, in the order in which they have addresses."""
    found, known = [], outside(database)
    for name in present_order(database):
        join = database.find("Logical_Router_Port", join_port(gateway_router(name)))
        if join is not None:
            found.append(Exit(name, known[name], IPv4Interface(min(join.columns["networks"]))))
    return tuple(found)


def node_addresses(database: Database) -> Iterator[str]:
    """The routes to nodes' own addresses (`topology.node_topology`)."""
    for row in database.rows("Logical_Router_Static_Route"):
        if row.owner.startswith("node/") and row.columns["external_ids"].get("ovn-k8s-id") == f"{row.owner}/address":
            yield str(row.columns["ip_prefix"])


def choose(gateway: str, address: str, known: Sequence[Exit]) -> tuple[Exit, IPv4Address]:
    """The gateway and the address that the two annotations mean; either may be empty.

    An address alone belongs to the gateway whose own it is, or else to the first of `known` in whose network it is.

    Raises:
        NoExit: there is no such gateway, or no gateway for such an address.
    """
    try:
        wanted = IPv4Address(address) if address else None
    except ValueError:
        raise NoExit(f"{ADDRESS_ANNOTATION}: {address!r} is no IPv4 address") from None
    ways = [way for way in known if not gateway or way.name == gateway]
    if gateway and not ways:
        raise NoExit(f"{GATEWAY_ANNOTATION}: there is no gateway {gateway!r}")
    if wanted is None:
        return ways[0], ways[0].outside.ip
    others = {way.outside.ip: way.name for way in known}
    if gateway and others.get(wanted, gateway) != gateway:
        raise NoExit(f"{ADDRESS_ANNOTATION}: {wanted} is the address of gateway {others[wanted]!r}, not of {gateway!r}")
    suited = [way for way in ways if way.outside.ip == wanted] or [way for way in ways if wanted in way.outside.network]
    if not suited and not gateway:
        raise NoExit(
            f"{ADDRESS_ANNOTATION}: {wanted} is in no gateway's network; {GATEWAY_ANNOTATION} says which to use"
        )
    return (suited or ways)[0], wanted


def egress_rows(
    router: str,
    namespace: str,
    pods: Iterable[IPv4Address],
    way: tuple[Exit, IPv4Address] | None,
    inside: Inside,
) -> Iterator[Row]:
    """The rows of one namespace; with `way` None its pods have no way out: a promised address is not replaced."""
    owner, addresses = f"{KIND}/{namespace}", sorted(set(pods))
    name = f"egress_{digest(KIND, namespace)}"
    yield Row("Address_Set", name, {"addresses": [str(address) for address in addresses]}, owner)
    ours, there = f"ip4.src == ${name}", ", ".join(inside.networks)
    # Two policies and no `!=`, of which ovn-controller makes a flow for each combination of bits that can differ.
    for what, priority, match, action in (
        ("inside", PRIORITY + 1, f"{ours} && ip4.dst == {{{there}}}", "allow"),
        ("outside", PRIORITY, ours, "reroute" if way else "drop"),
    ):
        nexthops = [str(way[0].join.ip)] if way and action == "reroute" else []
        columns = {"priority": priority, "match": match, "action": action, "nexthops": nexthops}
        yield Row(
            "Logical_Router_Policy", f"{owner}/{what}", columns, owner, Parent("Logical_Router", router, "policies")
        )
    if way is None or way[1] == way[0].outside.ip:
        return
    parent = Parent("Logical_Router", gateway_router(way[0].name), "nat")
    for address in addresses:
        columns = {"type": "snat", "logical_ip": str(address), "external_ip": str(way[1])}
        yield Row("NAT", f"{owner}/{address}", columns, owner, parent)
