# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""The logical network of a cluster as desired northbound rows.

Names and external ids are those that ovn-kubernetes introduced (its Python era, 2016 to 2018): one distributed router
per cluster, a switch `join` towards the gateway routers, a switch per node with `.1` for the router and `.2` for the
node. Table and column meanings: ovn-nb(5).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from ipaddress import IPv4Address, IPv4Interface, IPv4Network

from .addresses import cluster_join_address, mac_for, node_address, router_address, with_prefix
from .node_services import ALIASES
from .rows import MapPatch, Parent, Ref, Row

CLUSTER_OWNER = "cluster"
JOIN_SWITCH = "join"
LOAD_BALANCER_GROUP = "clusterLBGroup"
CLUSTER_ROUTER_KEY = "k8s-cluster-router"
CLOSED = "closed"
"""The route table of the default routes that are not to be used."""
HOLDER_KEY = "has-addresses"
"""An external id of the default route by a gateway that has addresses which are no gateway's own: gateway_duties.py."""
ANNOUNCED_NETWORK = "ovn-k8s-announce"
"""A network of which a gateway's chassis has an empty bridge; which one, it says itself (`ovn-bridge-mappings`)."""
NODE_SUBNET_KEY = "node_subnet"
"""An external id: on a node's own port, from where northd carries it to the node; on `subnet_record` as the record."""


@dataclass(frozen=True)
class Node:
    """A Linux node: `address` is its own on the underlay, `subnet` that of its pods."""

    name: str
    address: IPv4Address
    subnet: IPv4Network


@dataclass(frozen=True)
class Gateway:
    """A gateway: `address` and `mac` are those of `interface`, `nexthop` the router beyond it, if there is one.

    `interface` is a NIC of its own, or the bridge that it shares with the node. `join_address` is its router's in the
    join network. `chassis` is the system-id of its Open vSwitch. Pods in `source_networks` leave by this gateway only.
    """

    name: str
    chassis: str
    interface: str
    address: IPv4Interface
    nexthop: IPv4Address | None
    mac: str
    join_address: IPv4Address
    source_networks: tuple[IPv4Network, ...] = ()


def node_owner(name: str) -> str:
    """The owner that a node's rows carry."""
    return f"node/{name}"


def subnet_record(name: str) -> str:
    """The port of the switch `join` that stands for the subnet of a node without OVN. Nothing is attached to it."""
    return f"subnet-{name}"


def gateway_owner(name: str) -> str:
    """The owner that a gateway's rows carry."""
    return f"gateway/{name}"


def exit_owner(gateway: str) -> str:
    """The owner of the cluster's default route by a gateway, which the watcher closes while the gateway is silent."""
    return f"exit/{gateway}"


def gateway_router(name: str) -> str:
    """The name of a gateway's router."""
    return f"GR_{name}"


def outside_switch(name: str) -> str:
    """The name of the switch between a gateway's router and the world."""
    return f"ext_{name}"


def outside_port(router: str) -> str:
    """The name of a gateway router's port towards the world."""
    return f"rtoe-{router}"


def join_port(router: str) -> str:
    """The name of a router's port towards the join switch."""
    return f"rtoj-{router}"


def cluster_topology(router: str, join: IPv4Network) -> Iterator[Row]:
    """What a cluster has once: its router, the join switch, the group of load balancers that all switches share."""
    yield Row("Load_Balancer_Group", LOAD_BALANCER_GROUP)
    yield Row("Logical_Router", router, {"external_ids": {CLUSTER_ROUTER_KEY: "yes"}}, CLUSTER_OWNER)
    yield Row("Logical_Switch", JOIN_SWITCH, owner=CLUSTER_OWNER)
    yield from _join(router, cluster_join_address(join), join, CLUSTER_OWNER)
    # A node port that no service has ends here, and not at a gateway.
    yield _route(f"{CLUSTER_OWNER}/node-ports", router, str(ALIASES), "discard", CLUSTER_OWNER)


def node_topology(router: str, node: Node) -> Iterator[Row]:
    """A node's switch, its link to the cluster router, the node's own port, and the route to the node's address.

    By that route pods reach the node, and an API server on it, without a gateway.
    """
    owner = node_owner(node.name)
    gateway, own = router_address(node.subnet), node_address(node.subnet)
    gateway_ip = with_prefix(gateway, node.subnet)
    yield Row(
        "Logical_Switch",
        node.name,
        {
            "other_config": {"subnet": str(node.subnet)},
            "external_ids": MapPatch({"gateway_ip": gateway_ip}),
            "load_balancer_group": [Ref("Load_Balancer_Group", LOAD_BALANCER_GROUP)],
        },
        owner,
    )
    yield _router_port(f"rtos-{node.name}", router, mac_for(gateway), gateway_ip, owner)
    yield _to_router(f"stor-{node.name}", node.name, f"rtos-{node.name}", owner)
    # No port security: the node answers pods from whichever of its addresses they asked.
    yield Row(
        "Logical_Switch_Port",
        f"k8s-{node.name}",
        {"addresses": [f"{mac_for(own)} {own}"], "external_ids": {NODE_SUBNET_KEY: str(node.subnet)}},
        owner,
        Parent("Logical_Switch", node.name, "ports"),
    )
    yield _route(f"{owner}/address", router, f"{node.address}/32", own, owner)


def foreign_node_topology(name: str, subnet: IPv4Network, marks: Mapping[str, str]) -> Iterator[Row]:
    """The record of the subnet of a node that is not part of OVN; `marks` are further external ids."""
    columns = {"enabled": False, "external_ids": MapPatch({NODE_SUBNET_KEY: str(subnet), **marks})}
    parent = Parent("Logical_Switch", JOIN_SWITCH, "ports")
    yield Row("Logical_Switch_Port", subnet_record(name), columns, node_owner(name), parent)


def gateway_topology(router: str, cluster: IPv4Network, join: IPv4Network, gateway: Gateway) -> Iterator[Row]:
    """A gateway's router on its chassis, its way out through an interface of its own, and source NAT for pods."""
    name, owner = gateway_router(gateway.name), gateway_owner(gateway.name)
    outside, port = outside_switch(gateway.name), outside_port(gateway_router(gateway.name))
    yield Row(
        "Logical_Router",
        name,
        {
            "options": {"chassis": gateway.chassis, "lb_force_snat_ip": str(gateway.join_address)},
            "external_ids": {"physical_ip": str(gateway.address.ip)},
        },
        owner,
    )
    yield from _join(name, gateway.join_address, join, owner)
    yield Row("Logical_Switch", outside, owner=owner)
    yield Row(
        "Logical_Switch_Port",
        f"{gateway.interface}_{gateway.name}",
        {"addresses": ["unknown"]},
        owner,
        Parent("Logical_Switch", outside, "ports"),
    )
    yield _router_port(port, name, gateway.mac, str(gateway.address), owner, {"gateway-physical-ip": "yes"})
    yield from _announced(gateway.name, outside, port)
    yield _route(f"{owner}/pods", name, str(cluster), cluster_join_address(join), owner)
    for network in gateway.source_networks:
        route = _route(f"{owner}/source/{network}", router, str(network), gateway.join_address, owner)
        yield replace(route, columns={**route.columns, "policy": "src-ip"})
    if gateway.nexthop:
        yield _route(f"{owner}/default", name, "0.0.0.0/0", gateway.nexthop, owner, port)
    yield Row(
        "NAT",
        f"{owner}/snat",
        {"type": "snat", "logical_ip": str(cluster), "external_ip": str(gateway.address.ip)},
        owner,
        Parent("Logical_Router", name, "nat"),
    )


def exit_route(
    router: str, gateway: str, join_address: IPv4Address, is_open: bool | None = None, holds: bool | None = None
) -> Row:
    """The cluster's default route by a gateway; OVN shares connections out among those of several gateways.

    A closed one stands in a route table that no port uses. `holds`: the mark HOLDER_KEY. None leaves either as it is.
    """
    owner = exit_owner(gateway)
    route = _route(f"{owner}/default", router, "0.0.0.0/0", join_address, owner)
    columns = dict(route.columns)
    if is_open is not None:
        columns["route_table"] = "" if is_open else CLOSED
    if holds is not None:
        columns["external_ids"] = MapPatch({HOLDER_KEY: "yes"}) if holds else MapPatch({}, frozenset({HOLDER_KEY}))
    return replace(route, columns=columns)


def _announced(gateway: str, switch: str, port: str) -> Iterator[Row]:
    """The router's way to its outer switch, with gratuitous ARP for all addresses that the router answers to.

    ovn-controller sends that on switches with a localnet port only. The one here leads to an empty bridge; the packets
    go to the gateway's interface because they go everywhere.
    """
    owner = gateway_owner(gateway)
    way = _to_router(f"etor-{gateway_router(gateway)}", switch, port, owner)
    yield replace(way, columns={**way.columns, "options": {**way.columns["options"], "nat-addresses": "router"}})
    columns = {"type": "localnet", "addresses": ["unknown"], "options": {"network_name": ANNOUNCED_NETWORK}}
    yield Row("Logical_Switch_Port", f"announce_{gateway}", columns, owner, Parent("Logical_Switch", switch, "ports"))


def ways_owner(gateway: str) -> str:
    """The owner of a gateway's ways to nodes."""
    return f"node-ways/{gateway}"


def way_to_nodes(gateway: str, cluster_join: IPv4Address, nodes: Sequence[str]) -> Row:
    """A gateway's way to `nodes`, addresses, when they are what a service leads to: by the cluster router.

    Nothing else goes there: what is for a node's address by itself takes the routes, and so does an answer to a node.
    """
    match = f"ip4.dst == {{{', '.join(nodes)}}} && ct.dnat && !ct.rpl"
    columns = {"priority": 100, "match": match, "action": "reroute", "nexthops": [str(cluster_join)]}
    owner = ways_owner(gateway)
    parent = Parent("Logical_Router", gateway_router(gateway), "policies")
    return Row("Logical_Router_Policy", owner, columns, owner, parent)


def _join(router: str, address: IPv4Address, join: IPv4Network, owner: str) -> Iterator[Row]:
    port, network = join_port(router), with_prefix(address, join)
    yield _router_port(port, router, mac_for(address), network, owner, {"connect_to_join": "yes"})
    yield _to_router(f"jtor-{router}", JOIN_SWITCH, port, owner)


def _router_port(
    name: str, router: str, mac: str, network: str, owner: str, external_ids: dict[str, str] | None = None
) -> Row:
    columns = {"mac": mac, "networks": [network], "external_ids": external_ids or {}}
    return Row("Logical_Router_Port", name, columns, owner, Parent("Logical_Router", router, "ports"))


def _to_router(name: str, switch: str, router_port: str, owner: str) -> Row:
    columns = {"type": "router", "addresses": ["router"], "options": {"router-port": router_port}}
    return Row("Logical_Switch_Port", name, columns, owner, Parent("Logical_Switch", switch, "ports"))


def _route(
    name: str, router: str, prefix: str, nexthop: IPv4Address | str, owner: str, output_port: str | None = None
) -> Row:
    columns = {"ip_prefix": prefix, "nexthop": str(nexthop), "output_port": output_port}
    return Row("Logical_Router_Static_Route", name, columns, owner, Parent("Logical_Router", router, "static_routes"))
