# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""Hybrid overlay: Windows nodes that have no OVN, only an HNS overlay network (VXLAN), joined to the OVN network.

Each Linux node has a logical port `int-<node>` with an address of its own in the node's subnet, the overlay router's.
The cluster router sends what is for a Windows node's subnet there, on the node where it comes from; behind the port, on
bridge br-ext, it gets its VXLAN header. Annotations and the identifier are those of ovn-kubernetes' hybrid overlay
(docs/features/hybrid-overlay.md there), so that its agent for Windows can take part.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network

from .addresses import AddressError, mac_for, parse_address, parse_network, router_address
from .nodes import ClusterNode
from .rows import Parent, Row

KIND = "hybrid"
SUBNET_ANNOTATION = "k8s.ovn.org/hybrid-overlay-node-subnet"
ROUTER_MAC_ANNOTATION = "k8s.ovn.org/hybrid-overlay-distributed-router-gateway-mac"
ROUTER_ADDRESS_ANNOTATION = "k8s.ovn.org/hybrid-overlay-distributed-router-gateway-ip"

ROUTES_ANNOTATION = "ovn.ovn-k8s.io/hybrid-overlay-routes"
"""Of a Windows node, ours: what it reaches through another node's overlay router besides that node's own subnet, as
[{"subnet", "address", "router_mac"}]. Masters and gateways need not be nodes of Kubernetes, where their subnets would
be read from annotations of their own."""

FACTS_KEY = "hybrid-overlay"
"""external_ids key of int-<node>: what br-ext needs to know, in JSON. northd copies it into the port binding."""

POLICY_PRIORITY = 1002
VNI = 4097
VXLAN_PORT = 4789


@dataclass(frozen=True)
class Peer:
    """A Windows node: pods of `subnet` are reached at `address`, through its overlay router with `router_mac`."""

    name: str
    subnet: IPv4Network
    address: IPv4Address
    router_mac: str


@dataclass(frozen=True)
class LinuxNode:
    """A node with OVN. `router_address` is the overlay router's; `join_address` its gateway router's, if it has one."""

    name: str
    subnet: IPv4Network
    router_address: IPv4Address
    join_address: IPv4Address | None = None

    @property
    def router_mac(self) -> str:
        """The MAC address of the overlay router, to which Windows nodes send."""
        return mac_for(self.router_address)


def mac(text: str) -> str:
    """A MAC address as OVN writes it, from 00-15-5D-… or 00:15:5d:…; raises AddressError."""
    digits = text.replace("-", "").replace(":", "").lower()
    try:
        octets = bytes.fromhex(digits)
    except ValueError:
        octets = b""
    if len(octets) != 6 or octets[0] & 1:
        raise AddressError(f"{text!r} is not the MAC address of one machine")
    return octets.hex(":")


def peer(node: ClusterNode, subnet: IPv4Network) -> Peer:
    """A Windows node that can be reached. Raises AddressError: what is missing or wrong."""
    if node.address is None:
        raise AddressError(f"node {node.name} has no IPv4 address of type InternalIP yet")
    router_mac = node.annotations.get(ROUTER_MAC_ANNOTATION)
    if not router_mac:
        raise AddressError(
            f"node {node.name} has not said the MAC address of its overlay router yet ({ROUTER_MAC_ANNOTATION}); "
            "its service does when its HNS network is there"
        )
    return Peer(node.name, subnet, node.address, mac(router_mac))


def owner(name: str) -> str:
    """The owner that a node's rows of the overlay carry."""
    return f"{KIND}/node/{name}"


def port_name(node: str) -> str:
    """The logical port behind which a Linux node's br-ext is."""
    return f"int-{node}"


def linux_rows(router: str, node: LinuxNode, peers: Iterable[Peer]) -> Iterator[Row]:
    """A Linux node's port towards the overlay, and the policies that send there what its pods and gateway have."""
    peers = sorted(peers, key=lambda one: one.name)
    facts = {
        "router_mac": node.router_mac,
        "router_address": str(node.router_address),
        "join_address": str(node.join_address) if node.join_address else "",
        "peers": [
            {"subnet": str(one.subnet), "address": str(one.address), "router_mac": one.router_mac} for one in peers
        ],
    }
    yield Row(
        "Logical_Switch_Port",
        port_name(node.name),
        {
            "addresses": [f"{node.router_mac} {node.router_address}"],
            "options": {"requested-chassis": node.name},
            "external_ids": {
                "gateway_ip": str(router_address(node.subnet)),
                FACTS_KEY: json.dumps(facts, separators=(",", ":"), sort_keys=True),
            },
        },
        owner(node.name),
        Parent("Logical_Switch", node.name, "ports"),
    )
    for one in peers:
        yield _policy(router, node, one, f'inport == "rtos-{node.name}" && ip4.dst == {one.subnet}', "pods")
        if node.join_address:
            match = f"ip4.src == {node.join_address} && ip4.dst == {one.subnet}"
            yield _policy(router, node, one, match, "gateway")


def routes_text(entry: LinuxNode, address: IPv4Address, subnets: Iterable[IPv4Network]) -> str:
    """The annotation that sends a Windows node's packets for these subnets to `entry`, whose address this is."""
    routes = [
        {"subnet": str(subnet), "address": str(address), "router_mac": entry.router_mac} for subnet in sorted(subnets)
    ]
    return json.dumps(routes, separators=(",", ":"))


def windows_rows(router: str, node: Peer, entry: LinuxNode) -> Iterator[Row]:
    """The route to a Windows node's pods for packets that no policy sends by another way: through `entry`."""
    yield Row(
        "Logical_Router_Static_Route",
        f"{owner(node.name)}/pods",
        {"ip_prefix": str(node.subnet), "nexthop": str(entry.router_address), "output_port": None},
        owner(node.name),
        Parent("Logical_Router", router, "static_routes"),
    )


def _policy(router: str, node: LinuxNode, to: Peer, match: str, source: str) -> Row:
    columns = {
        "priority": POLICY_PRIORITY,
        "match": match,
        "action": "reroute",
        "nexthops": [str(node.router_address)],
    }
    name = f"{owner(node.name)}/{source}/{to.name}"
    return Row("Logical_Router_Policy", name, columns, owner(node.name), Parent("Logical_Router", router, "policies"))


@dataclass(frozen=True)
class BridgeFacts:
    """What a node's br-ext needs to know: its own overlay router, and the Windows nodes."""

    router_mac: str
    router_address: IPv4Address
    join_address: IPv4Address | None
    subnet_router_mac: str
    """The cluster router's, on the node's switch."""
    peers: tuple[Peer, ...]


def bridge_facts(external_ids: Mapping[str, str]) -> BridgeFacts:
    """Read what `linux_rows` wrote. Raises AddressError."""
    try:
        facts = json.loads(external_ids[FACTS_KEY])
        return BridgeFacts(
            mac(facts["router_mac"]),
            parse_address(facts["router_address"]),
            parse_address(facts["join_address"]) if facts["join_address"] else None,
            mac_for(parse_address(external_ids["gateway_ip"])),
            tuple(
                Peer("", parse_network(one["subnet"]), parse_address(one["address"]), mac(one["router_mac"]))
                for one in facts["peers"]
            ),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        if isinstance(error, AddressError):
            raise
        raise AddressError(f"what {FACTS_KEY} says cannot be read: {error!r}") from None
