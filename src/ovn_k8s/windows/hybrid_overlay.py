# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""Hybrid overlay on a Windows node: which networks HNS must have, from the node's configuration and its peers.

As ovn-kubernetes' own agent does it: a persistent overlay network that carries nothing keeps the virtual switch over a
restart, so that the machine's connections break only once; the pods' network is not persistent and is made again with
what holds then.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network
from typing import Any

from ovn_k8s.core.addresses import AddressError, parse_address, parse_network
from ovn_k8s.core.hns.errors import HnsError
from ovn_k8s.core.hns.objects import Network, Policy, RemoteSubnet, Subnet
from ovn_k8s.core.hns.options import Wanted
from ovn_k8s.core.hns.plan import Inventory, Plan, make_plan
from ovn_k8s.core.hns.reading import Place, mac
from ovn_k8s.core.hybrid_overlay import ROUTER_MAC_ANNOTATION, ROUTES_ANNOTATION, SUBNET_ANNOTATION

from .config import NETWORK, OVS, NodeConfig

LOG = logging.getLogger(__name__)

BASE_NETWORK = "BaseOVNKubernetesHybridOverlayNetwork"
ENCAP_OVERHEAD = "EncapOverhead"
"""Policy of an endpoint: bytes that it leaves free of the network's MTU."""

BASE_SUBNET = Subnet("100.64.0.0/30", "100.64.0.2", vsid=4098)


@dataclass(frozen=True)
class Peer:
    """Another node: pods of `subnet` are reached at `address`, through the overlay router with `router_mac`."""

    name: str
    subnet: IPv4Network
    address: IPv4Address
    router_mac: str


def peers(nodes: Iterable[Mapping[str, Any]], own_name: str) -> tuple[Peer, ...]:
    """The peers among Kubernetes Node documents; those that are not ready to be reached, or malformed, are left out."""
    result: list[Peer] = []
    for node in nodes:
        metadata = node.get("metadata") or {}
        name, annotations = str(metadata.get("name", "")), metadata.get("annotations") or {}
        subnet, router_mac = annotations.get(SUBNET_ANNOTATION), annotations.get(ROUTER_MAC_ANNOTATION)
        if name == own_name:
            result += _through_others(name, annotations.get(ROUTES_ANNOTATION))
        if name == own_name or not subnet or not router_mac:
            continue
        addresses = (node.get("status") or {}).get("addresses") or []
        address = next((item.get("address") for item in addresses if item.get("type") == "InternalIP"), None)
        if address is None:
            continue
        try:
            place = Place(f"node {name!r}: {ROUTER_MAC_ANNOTATION}")
            peer = Peer(name, parse_network(subnet), parse_address(address), mac(router_mac, place))
        except (AddressError, HnsError) as error:
            LOG.warning("node %s is left out of the overlay: %s", name, error)
            continue
        result.append(peer)
    return tuple(sorted(result, key=lambda peer: peer.name))


def _through_others(own_name: str, text: str | None) -> Iterator[Peer]:
    """What the cluster says that is reached through another node: machines with OVN that are no Kubernetes nodes."""
    try:
        for number, route in enumerate(json.loads(text) if text else ()):
            place = Place(f"node {own_name!r}: {ROUTES_ANNOTATION}")
            subnet, address = parse_network(route["subnet"]), parse_address(route["address"])
            yield Peer(f"({number})", subnet, address, mac(route["router_mac"], place))
    except (AddressError, HnsError, ValueError, KeyError, TypeError) as error:
        LOG.warning("the annotation %s of this node is left out: %s", ROUTES_ANNOTATION, error)


def wanted(config: NodeConfig, others: Iterable[Peer] | None) -> Wanted:
    """The networks of this node; peers None leaves the routes to other nodes as they are."""
    adapter = config.adapter or None
    remote = None
    if others is not None:
        remote = tuple(
            RemoteSubnet(str(peer.subnet), config.vni, str(peer.address), peer.router_mac) for peer in others
        )
    base = Network(BASE_NETWORK, "Overlay", adapter=adapter, subnets=(BASE_SUBNET,), persistent=True)
    pods = Network(
        NETWORK,
        "Overlay",
        adapter=adapter,
        subnets=(Subnet(str(config.node_subnet), str(config.gateway), vsid=config.vni),),
        automatic_dns=True,
        host_route=True,
        persistent=False,
        remote_subnets=remote,
    )
    return Wanted(networks=(base, pods))


def plan(config: NodeConfig, others: Iterable[Peer] | None, actual: Inventory) -> Plan:
    """What to do so that the networks are right.

    A network of our name that was made for another subnet or identifier is made again, its endpoints with it: their
    addresses mean nothing any more. Nothing else is a reason to make one again, above all no option that some HNS may
    not tell. Raises HnsError.
    """
    networks = tuple(_settled(network, actual) for network in wanted(config, others).networks)
    return make_plan(Wanted(networks=networks), actual, replace=True, force=True)


def _settled(network: Network, actual: Inventory) -> Network:
    """Without what is decided when a network is created, when it is there and serves the same subnets."""

    def served(candidate: Network) -> set[tuple[str, str, int]]:
        return {(subnet.prefix, subnet.gateway, subnet.vsid) for subnet in candidate.subnets or ()}

    same = (stored for stored in actual.networks if stored.name == network.name and stored.type == network.type)
    if any(served(stored) == served(network) for stored in same):
        return Network(network.name, network.type, remote_subnets=network.remote_subnets)
    return network


def pod_policies(config: NodeConfig) -> tuple[Policy, ...]:
    """Policies of a pod's endpoint: what leaves the cluster takes the node's address, services go into the overlay.

    With Open vSwitch all of that is OVN's.
    """
    if config.datapath == OVS:
        return (Policy.of(ENCAP_OVERHEAD, {"Overhead": config.encap_overhead}),) if config.encap_overhead else ()
    inside = [str(network) for network in (config.cluster_cidr, config.service_cidr, config.join_cidr)]
    room = (Policy.of(ENCAP_OVERHEAD, {"Overhead": config.encap_overhead}),) if config.encap_overhead else ()
    return (
        Policy.of("OutBoundNAT", {"Exceptions": inside}),
        Policy.of("SDNRoute", {"DestinationPrefix": str(config.service_cidr), "NeedEncap": True}),
        Policy.of("ProviderAddress", {"ProviderAddress": str(config.node_address)}),
        *room,
    )
