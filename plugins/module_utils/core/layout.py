# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""From facts about machines to the rows of the whole network: who has which subnet and join address, for life.

What was given once stands in the northbound database (`other_config:subnet` of a node's switch, the networks of a
gateway router's join port) and is kept; newcomers get the lowest that is free.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Interface, IPv4Network

from .addresses import AddressError, allocate_subnets, cluster_join_address
from .database import Database, row_owner
from .errors import InvalidValue
from .plan import Plan, plan
from .rows import Row
from .topology import (
    CLUSTER_OWNER,
    CLUSTER_ROUTER_KEY,
    LOAD_BALANCER_GROUP,
    Gateway,
    Node,
    cluster_topology,
    gateway_owner,
    gateway_router,
    gateway_topology,
    join_port,
    node_owner,
    node_topology,
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
    """A Linux node; `subnet` None lets the layout choose one."""

    name: str
    address: IPv4Address
    subnet: IPv4Network | None = None


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

    `router` is the name of the cluster router, by tradition that of the first master.
    """

    router: str
    cluster: IPv4Network
    node_prefix: int
    join: IPv4Network
    nodes: Sequence[WantedNode] = ()
    gateways: Sequence[WantedGateway] = ()
    absent_nodes: Collection[str] = ()
    absent_gateways: Collection[str] = ()


@dataclass(frozen=True)
class Layout:
    """The plan for a request, and the subnets of the nodes that it names."""

    plan: Plan
    subnets: Mapping[str, IPv4Network]


def stored_subnets(actual: Database) -> dict[str, IPv4Network]:
    """The subnets that nodes have, by node."""
    result = {}
    for row in actual.rows("Logical_Switch"):
        kind, _slash, name = row_owner(row.columns).partition("/")
        subnet = row.columns["other_config"].get("subnet")
        if kind == "node" and subnet:
            result[name] = IPv4Network(subnet)
    return result


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
    return allocate_subnets(
        request.cluster, request.node_prefix, [node.name for node in request.nodes], taken=taken, fixed=fixed
    )


def lay_out(request: Request, actual: Database) -> Layout:
    """Plan the network that a request describes.

    Raises:
        AddressError: there is no room, or a stored address contradicts the request.
        PlanError: a row is in the way.
    """
    router = _cluster_router(request, actual)
    subnets = choose_subnets(request, stored_subnets(actual))
    rows: list[Row] = list(cluster_topology(router, request.join))
    for node in request.nodes:
        rows += node_topology(router, Node(node.name, node.address, subnets[node.name]))
    for gateway in _with_join_addresses(request, actual):
        rows += gateway_topology(router, request.cluster, request.join, gateway)
    owners = [CLUSTER_OWNER]
    owners += [node_owner(name) for name in (*(node.name for node in request.nodes), *request.absent_nodes)]
    owners += [gateway_owner(name) for name in (*(g.name for g in request.gateways), *request.absent_gateways)]
    # Every subnet and join address that is given out adds a port to the router or the switch: were one added
    # meanwhile, the choice made here might be somebody else's already.
    unchanged = [("Logical_Router", router, "ports"), ("Logical_Switch", "join", "ports")]
    return Layout(plan(rows, actual, owners=owners, unchanged=unchanged), subnets)


def tear_down(actual: Database) -> Plan:
    """Plan the removal of everything that layouts have made."""
    kinds = ("node/", "gateway/")
    return plan(
        [],
        actual,
        owners=lambda owner: owner == CLUSTER_OWNER or owner.startswith(kinds),
        absent=[("Load_Balancer_Group", LOAD_BALANCER_GROUP)],
    )


def _cluster_router(request: Request, actual: Database) -> str:
    """The cluster's router keeps the name that it was made with, whichever master comes first today."""
    names = [
        str(row.columns["name"])
        for row in actual.rows("Logical_Router")
        if row.columns["external_ids"].get(CLUSTER_ROUTER_KEY) == "yes"
    ]
    if len(names) > 1:
        raise InvalidValue(
            f"{len(names)} routers are marked {CLUSTER_ROUTER_KEY}=yes ({', '.join(sorted(names))}); unmark all but one"
        )
    return names[0] if names else request.router


def _with_join_addresses(request: Request, actual: Database) -> list[Gateway]:
    stored = {}
    for row in actual.rows("Logical_Router_Port"):
        if row.columns["external_ids"].get("connect_to_join") == "yes":
            stored[row.columns["name"]] = IPv4Interface(min(row.columns["networks"])).ip
    taken = {cluster_join_address(request.join), *stored.values()}
    free = (address for address in request.join.hosts() if address not in taken)
    gateways = []
    for wanted in request.gateways:
        address = stored.get(join_port(gateway_router(wanted.name))) or next(free, None)
        if address is None:
            raise AddressError(f"no address is left in the join network {request.join} for gateway {wanted.name!r}")
        facts = {name: getattr(wanted, name) for name in WantedGateway.__dataclass_fields__}
        gateways.append(Gateway(**facts, join_address=address))
    return gateways
