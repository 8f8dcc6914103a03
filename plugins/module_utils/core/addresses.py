# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""IPv4 arithmetic of the cluster network: CIDRs, node subnets, and the addresses that have a fixed meaning.

Pure functions over :mod:`ipaddress`. In a node's subnet the first address (.1) is the cluster router's, the second (.2)
the node's own port ``k8s-<node>``, and pods get the third (.3) upward; the broadcast address is never given out.
A MAC address is ``0a:58`` followed by the IPv4 address in hexadecimal, so it is unique where the address is.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from ipaddress import IPv4Address, IPv4Interface, IPv4Network

LONGEST_NODE_PREFIX = 29
"""Longest prefix that still has room for router, node port and pods (a /29: four pods)."""
LONGEST_SERVICE_PREFIX = 28
"""Longest prefix of a service network that is worth having (the API server itself refuses nothing above /30)."""
LONGEST_JOIN_PREFIX = 29
"""The join network holds the cluster router and one address for each gateway router."""
NO_IPV6 = "IPv6-only and dual-stack clusters are not supported: pods, nodes and services have IPv4 addresses"
FIRST_POD_HOST = 3
"""Host number, within a node's subnet, of the first pod address."""


class AddressError(ValueError):
    """A value that is no address or network, or a network that has no room left. The message says which and why."""


def parse_network(value: object) -> IPv4Network:
    """Read a CIDR such as ``10.244.0.0/16``.

    Raises :class:`AddressError` when it is no IPv4 network, has no prefix length, or has host bits set.
    """
    text = _text(value, "a network in CIDR notation such as 10.244.0.0/16")
    if "/" not in text:
        raise AddressError(f"{text!r} has no prefix length: write it like {text}/16")
    try:
        interface = IPv4Interface(text)
    except ValueError as error:
        raise AddressError(f"{text!r} is not an IPv4 network in CIDR notation: {error}") from None
    if interface.ip != interface.network.network_address:
        raise AddressError(f"{text!r} has host bits set: the network is {interface.network}")
    return interface.network


def parse_interface(value: object) -> IPv4Interface:
    """Read an address with its prefix length, such as ``192.0.2.2/24``; raises :class:`AddressError`."""
    text = _text(value, "an address with a prefix length such as 192.0.2.2/24")
    if "/" not in text:
        raise AddressError(f"{text!r} has no prefix length: write it like {text}/24")
    try:
        return IPv4Interface(text)
    except ValueError as error:
        raise AddressError(f"{text!r} is not an IPv4 address with a prefix length: {error}") from None


def parse_address(value: object) -> IPv4Address:
    """Read an IPv4 address such as ``192.0.2.11``; raises :class:`AddressError`."""
    text = _text(value, "an IPv4 address such as 192.0.2.11")
    try:
        return IPv4Address(text)
    except ValueError as error:
        raise AddressError(f"{text!r} is not an IPv4 address: {error}") from None


def overlaps(networks: Mapping[str, IPv4Network]) -> list[tuple[str, str]]:
    """Names of all pairs of networks that share an address, each pair once, in the mapping's order."""
    names = list(networks)
    return [
        (first, second)
        for position, first in enumerate(names)
        for second in names[position + 1 :]
        if networks[first].overlaps(networks[second])
    ]


def subnet_count(cluster: IPv4Network, node_prefix: int) -> int:
    """How many node subnets of ``node_prefix`` bits the cluster network has; 0 when it is too small for one."""
    return 0 if node_prefix < cluster.prefixlen else 1 << (node_prefix - cluster.prefixlen)


def allocate_subnets(
    cluster: IPv4Network,
    node_prefix: int,
    nodes: Iterable[str],
    *,
    taken: Mapping[str, IPv4Network] | None = None,
    fixed: Mapping[str, IPv4Network] | None = None,
) -> dict[str, IPv4Network]:
    """Give every node of ``nodes`` a subnet for life.

    ``taken`` maps owners (nodes of this call or others) to subnets that they have: a node keeps its own, whatever
    ``node_prefix`` says today. ``fixed`` maps nodes to the subnet that the inventory wants; it must agree with a
    subnet that the node already has. Everybody else gets the lowest free subnet, in the order of ``nodes``; the first
    subnet of the cluster network is used like any other.

    Raises :class:`AddressError` when a fixed subnet lies outside the cluster network, overlaps another owner's or
    contradicts the one that the node has, and when the cluster network is full.
    """
    taken = dict(taken or {})
    fixed = dict(fixed or {})
    order = list(dict.fromkeys(nodes))
    given: dict[str, IPv4Network] = {}
    occupied: dict[str, IPv4Network] = dict(taken)
    exact = set(occupied.values())  # most are of one size: these need no comparison with all others
    for node in order:
        wanted = fixed.get(node)
        if wanted is None:
            continue
        _check_fixed(cluster, node, wanted, occupied)
        occupied[node] = wanted
        exact.add(wanted)
    position = 0
    total = subnet_count(cluster, node_prefix)
    size = 1 << (32 - node_prefix)
    for node in order:
        if node in occupied:
            given[node] = occupied[node]
            continue
        while position < total:
            candidate = IPv4Network((int(cluster.network_address) + position * size, node_prefix))
            position += 1
            if candidate not in exact and not any(candidate.overlaps(other) for other in occupied.values()):
                given[node] = occupied[node] = candidate
                break
        else:
            raise AddressError(
                f"no subnet is left for node {node!r}: {cluster} has {total} subnets of /{node_prefix} and they are "
                "taken by other nodes; remove nodes that no longer exist, or rebuild with a larger cluster network"
            )
    return given


def _check_fixed(cluster: IPv4Network, node: str, wanted: IPv4Network, occupied: Mapping[str, IPv4Network]) -> None:
    if not wanted.subnet_of(cluster):
        raise AddressError(f"subnet {wanted} of node {node!r} lies outside the cluster network {cluster}")
    if wanted.prefixlen > LONGEST_NODE_PREFIX:
        raise AddressError(f"subnet {wanted} of node {node!r} is too small: at most /{LONGEST_NODE_PREFIX}")
    has = occupied.get(node)
    if has is not None and has != wanted:
        raise AddressError(
            f"node {node!r} has subnet {has} and keeps it for life; the inventory wants {wanted}: "
            "remove the node from the network first, or take the setting back"
        )
    for owner, other in occupied.items():
        if owner != node and wanted.overlaps(other):
            raise AddressError(f"subnet {wanted} of node {node!r} overlaps {other} of {owner!r}")


def router_address(subnet: IPv4Network) -> IPv4Address:
    """The cluster router's address in a node's subnet: .1."""
    return subnet.network_address + 1


def node_address(subnet: IPv4Network) -> IPv4Address:
    """The address of the node's own port ``k8s-<node>`` in its subnet: .2."""
    return subnet.network_address + 2


def pod_addresses(subnet: IPv4Network) -> range:
    """Pod addresses of a node's subnet as integers, .3 up to the last one before the broadcast address."""
    return range(int(subnet.network_address) + FIRST_POD_HOST, int(subnet.broadcast_address))


def cluster_join_address(join: IPv4Network) -> IPv4Address:
    """The cluster router's address in the join network: the first one."""
    return join.network_address + 1


def first_service_address(service: IPv4Network) -> IPv4Address:
    """ClusterIP of the service ``default/kubernetes``: the first address, as the API server takes it."""
    return service.network_address + 1


def mac_for(address: IPv4Address | str) -> str:
    """``0a:58`` + the IPv4 address in hexadecimal: 10.244.1.3 gives ``0a:58:0a:f4:01:03``."""
    octets = IPv4Address(address).packed
    return ":".join(["0a", "58", *(f"{octet:02x}" for octet in octets)])


def with_prefix(address: IPv4Address, network: IPv4Network) -> str:
    """An address of a network in interface notation: 10.244.1.1 in 10.244.1.0/24 gives ``10.244.1.1/24``."""
    return f"{address}/{network.prefixlen}"


def _text(value: object, wanted: str) -> str:
    if not isinstance(value, str):
        raise AddressError(f"{value!r} is not {wanted}")
    return value.strip()
