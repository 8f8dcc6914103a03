# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""From facts about machines to the rows of the whole network: who has which subnet and join address, for life.

What was given once stands in the northbound database (`other_config:subnet` of a node's switch, the networks of a
gateway router's join port) and is kept; newcomers get the lowest that is free.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Interface, IPv4Network

from .addresses import AddressError, allocate_subnets, cluster_join_address
from .database import Database, StoredRow, row_owner
from .errors import InvalidValue
from .plan import Plan, plan
from .rows import Row
from .topology import (
    CLUSTER_OWNER,
    CLUSTER_ROUTER_KEY,
    JOIN_SWITCH,
    NODE_SUBNET_KEY,
    Gateway,
    Node,
    cluster_topology,
    exit_owner,
    exit_route,
    foreign_node_topology,
    gateway_owner,
    gateway_router,
    gateway_topology,
    join_port,
    node_owner,
    node_topology,
    subnet_record,
)

TABLES = (
    "Load_Balancer_Group",
    "Logical_Router",
    "Logical_Router_Port",
    "Logical_Router_Static_Route",
    "Logical_Switch",
    "Logical_Switch_Port",
    "NAT",
)
"""The northbound tables that a layout reads and writes."""


@dataclass(frozen=True)
class WantedNode:
    """A node; `subnet` None lets the layout choose one. One of the hybrid overlay has no OVN, only a subnet."""

    name: str
    address: IPv4Address
    subnet: IPv4Network | None = None
    hybrid_overlay: bool = False


@dataclass(frozen=True)
class WantedGateway:
    """A gateway, as `topology.Gateway` but for the join address, which the layout chooses."""

    name: str
    chassis: str
    interface: str
    address: IPv4Interface
    nexthop: IPv4Address | None
    mac: str
    source_networks: tuple[IPv4Network, ...] = ()


@dataclass(frozen=True)
class Request:
    """What shall be in the network. Nodes and gateways that are not named stay as they are, `absent` ones go.

    `router` is the name of the cluster router, by tradition that of the first master. `reserved` are subnets of nodes
    that are spoken for without being stored yet.
    """

    router: str
    cluster: IPv4Network
    node_prefix: int
    join: IPv4Network
    nodes: Sequence[WantedNode] = ()
    gateways: Sequence[WantedGateway] = ()
    absent_nodes: Collection[str] = ()
    absent_gateways: Collection[str] = ()
    reserved: Mapping[str, IPv4Network] = field(default_factory=dict)


@dataclass(frozen=True)
class Layout:
    """The plan for a request, and the subnets of the nodes that it names."""

    plan: Plan
    subnets: Mapping[str, IPv4Network]


def stored_subnets(actual: Database) -> dict[str, IPv4Network]:
    """The subnets that nodes have, by node."""
    join = actual.find("Logical_Switch", JOIN_SWITCH)
    ports = [actual.get("Logical_Switch_Port", uuid) for uuid in (join.columns["ports"] if join else ())]
    result = {}
    for row in (*actual.rows("Logical_Switch"), *(port for port in ports if port)):
        kind, _slash, name = row_owner(row.columns).partition("/")
        subnet = recorded_subnet(row)
        if kind == "node" and subnet:
            result[name] = subnet
    return result


def record_of(name: str, actual: Database) -> StoredRow | None:
    """The row that says which subnet a node has: its switch, or for a node without OVN a port of the join switch."""
    for table, row_name in (("Logical_Switch", name), ("Logical_Switch_Port", subnet_record(name))):
        row = actual.find(table, row_name)
        if row is not None and row.owner == node_owner(name):
            return row
    return None


def recorded_subnet(record: StoredRow) -> IPv4Network | None:
    """The subnet in such a row."""
    columns = record.columns
    text = columns["other_config"].get("subnet") if record.table == "Logical_Switch" else None
    text = text or columns["external_ids"].get(NODE_SUBNET_KEY)
    return IPv4Network(text) if text else None


def choose_subnets(request: Request, stored: Mapping[str, IPv4Network]) -> dict[str, IPv4Network]:
    """The subnet of every node that the request names.

    Raises:
        AddressError: no subnet is left, or a wanted one cannot be had; the message says why.
    """
    taken = {name: subnet for name, subnet in stored.items() if name not in request.absent_nodes}
    for name, subnet in taken.items():
        if not subnet.subnet_of(request.cluster):
            raise AddressError(
                f"node {name!r} has subnet {subnet}, which is not in the cluster network {request.cluster}: "
                "the cluster network cannot be changed while nodes have addresses of the old one; take the setting back"
            )
    fixed = {node.name: node.subnet for node in request.nodes if node.subnet}
    spoken_for = {name: subnet for name, subnet in request.reserved.items() if name not in request.absent_nodes}
    return allocate_subnets(
        request.cluster,
        request.node_prefix,
        [node.name for node in request.nodes],
        taken={**spoken_for, **taken},
        fixed=fixed,
    )


def lay_out(request: Request, actual: Database) -> Layout:
    """Plan the network that a request describes.

    Raises:
        AddressError: there is no room, or a stored address contradicts the request.
        PlanError: a row is in the way.
    """
    router = cluster_router(actual) or request.router
    subnets = choose_subnets(request, stored_subnets(actual))
    rows: list[Row] = list(cluster_topology(router, request.join))
    for node in request.nodes:
        if node.hybrid_overlay:
            rows += foreign_node_topology(node.name, subnets[node.name], {})
        else:
            rows += node_topology(router, Node(node.name, node.address, subnets[node.name]))
    for gateway in with_join_addresses(request.gateways, request.join, actual):
        rows += gateway_topology(router, request.cluster, request.join, gateway)
        rows.append(exit_route(router, gateway.name, gateway.join_address))
    owners = [CLUSTER_OWNER]
    owners += [node_owner(name) for name in (*(node.name for node in request.nodes), *request.absent_nodes)]
    for name in (*(gateway.name for gateway in request.gateways), *request.absent_gateways):
        owners += [gateway_owner(name), exit_owner(name)]
    return Layout(plan(rows, actual, owners=owners, unchanged=grounds_of_choice(router)), subnets)


def grounds_of_choice(router: str) -> tuple[tuple[str, str, str], ...]:
    """What a choice of a subnet or of a join address rests on, for `plan(unchanged=)`.

    Each that is given out adds a port to the cluster router or to the switch `join`: were one added meanwhile, the
    choice might be somebody else's already.
    """
    return ("Logical_Router", router, "ports"), ("Logical_Switch", JOIN_SWITCH, "ports")


def cluster_router(actual: Database) -> str:
    """The name of the cluster's router, which it keeps whichever master comes first today; empty when there is none."""
    names = [
        str(row.columns["name"])
        for row in actual.rows("Logical_Router")
        if row.columns["external_ids"].get(CLUSTER_ROUTER_KEY) == "yes"
    ]
    if len(names) > 1:
        raise InvalidValue(
            f"{len(names)} routers are marked {CLUSTER_ROUTER_KEY}=yes ({', '.join(sorted(names))}); unmark all but one"
        )
    return names[0] if names else ""


def with_join_addresses(wishes: Iterable[WantedGateway], join: IPv4Network, actual: Database) -> list[Gateway]:
    """The gateways with the join address that each has already, or the next free one. Raises AddressError."""
    stored = {}
    for row in actual.rows("Logical_Router_Port"):
        if row.columns["external_ids"].get("connect_to_join") == "yes":
            stored[row.columns["name"]] = IPv4Interface(min(row.columns["networks"])).ip
    taken = {cluster_join_address(join), *stored.values()}
    free = (address for address in join.hosts() if address not in taken)
    gateways = []
    for wanted in wishes:
        address = stored.get(join_port(gateway_router(wanted.name))) or next(free, None)
        if address is None:
            raise AddressError(f"no address is left in the join network {join} for gateway {wanted.name!r}")
        facts = {name: getattr(wanted, name) for name in WantedGateway.__dataclass_fields__}
        gateways.append(Gateway(**facts, join_address=address))
    return gateways
