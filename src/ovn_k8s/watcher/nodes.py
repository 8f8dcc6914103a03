# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""Nodes: a subnet each, and the switch, ports and routes that go with it.

The machines of an inventory get theirs from the role `overlay`, in the same rows of the same owner; so does a master or
a gateway, which Kubernetes does not know as a node. What Kubernetes has known is marked with the node's uid, and only
what is marked is ever removed here.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from ipaddress import IPv4Network

from ovn_k8s.core.addresses import AddressError, allocate_subnets
from ovn_k8s.core.database import Database
from ovn_k8s.core.layout import cluster_router, grounds_of_choice, record_of, recorded_subnet, stored_subnets
from ovn_k8s.core.nodes import ClusterNode
from ovn_k8s.core.rows import MapPatch, Row
from ovn_k8s.core.topology import Node, foreign_node_topology, node_topology
from ovn_k8s.daemon.log import fields
from ovn_k8s.kubernetes.informer import Informer

from .handler import NOTHING, Handler, Wish
from .workqueue import Key

LOG = logging.getLogger(__name__)

KIND = "node"
MARK = "kubernetes_node"
"""External id of the record of a node that Kubernetes knows or has known: its uid."""

HANDS_OFF = Wish(hands_off=True)

Settled = Callable[[ClusterNode, IPv4Network], None]


class NodeHandler(Handler):
    """Nodes of the API get their place in the network; those that were deleted lose it.

    `on_settled` is called for each node whose rows are known to be in the database. It must return at once.
    """

    kind = KIND

    def __init__(
        self,
        nodes: Informer[ClusterNode],
        cluster: IPv4Network,
        node_prefix: int,
        *,
        on_settled: Settled | None = None,
    ) -> None:
        self._nodes = nodes
        self._cluster = cluster
        self._prefix = node_prefix
        self._on_settled = on_settled
        self._chosen: dict[str, IPv4Network] = {}  # given in transactions that are not known to be done
        self._wished: dict[str, IPv4Network] = {}  # by the last wish
        self._deleted: set[str] = set()

    def told(self, old: ClusterNode | None, new: ClusterNode | None) -> Key | None:
        """A change of the API; the key to look at. For the informer's listener."""
        node = new or old
        if node is None:
            return None
        if new is not None:
            self._deleted.discard(new.name)
        elif not self._nodes.listing or self._nodes.listed:
            self._deleted.add(node.name)
        return Key(KIND, "", node.name)

    def is_foreign(self, name: str) -> bool:
        """Whether the pods of a node are not OVN's: it is a Windows node. One that has a switch of its own has OVN."""
        node = self._nodes.get(name)
        return node is not None and node.windows

    def subnet_of(self, name: str, database: Database) -> IPv4Network | None:
        """The subnet that a node has."""
        record = record_of(name, database)
        return recorded_subnet(record) if record else None

    def everything(self) -> Iterator[Key]:
        """Every node of the API."""
        return (Key(KIND, "", node.name) for node in self._nodes.all())

    def prepare(self, database: Database) -> None:
        """Begin anew: what was chosen and not written is free again."""
        self._chosen.clear()

    def wish(self, key: Key, database: Database) -> Wish:
        """The node's rows, none when it is gone for certain, hands off when it is not Kubernetes' or not known."""
        node = self._nodes.get(key.name)
        if node is None:
            return self._gone(key.name, database)
        router = cluster_router(database)
        if not router:
            return _waits("there is no cluster router in the northbound database; the master's set-up makes it")
        if node.address is None:
            return _waits("the node has no IPv4 address of type InternalIP yet")
        try:
            subnet, unchanged = self._subnet(node.name, router, database)
        except (AddressError, ValueError) as error:
            return Wish(waits_for=str(error), retry=True, hands_off=True)
        self._wished[node.name] = subnet
        if node.windows and not _has_switch(node.name, database):
            rows = list(foreign_node_topology(node.name, subnet, {MARK: node.uid}))
        else:
            rows = [_marked(row, node) for row in node_topology(router, Node(node.name, node.address, subnet))]
        return Wish(tuple(rows), unchanged=unchanged)

    def settled(self, key: Key) -> None:
        """What was chosen stands in the database now."""
        wished = self._wished.pop(key.name, None)
        if self._chosen.pop(key.name, None):
            LOG.info("has subnet %s from now on", wished, extra=fields(object=key))
        node = self._nodes.get(key.name)
        if node is None:
            self._deleted.discard(key.name)
        elif wished is not None and self._on_settled is not None:
            self._on_settled(node, wished)

    def _subnet(
        self, name: str, router: str, database: Database
    ) -> tuple[IPv4Network, tuple[tuple[str, str, str], ...]]:
        """The node's subnet, and what must not have changed until it is written down."""
        stored = self.subnet_of(name, database)
        if stored is not None:
            return stored, ()
        taken = {owner: subnet for owner, subnet in self._chosen.items() if owner != name} | stored_subnets(database)
        chosen = allocate_subnets(self._cluster, self._prefix, [name], taken=taken)[name]
        self._chosen[name] = chosen
        return chosen, grounds_of_choice(router)

    def _gone(self, name: str, database: Database) -> Wish:
        record = record_of(name, database)
        if record is None:
            return NOTHING if name in self._deleted else HANDS_OFF
        if MARK not in record.columns["external_ids"]:
            return HANDS_OFF
        if name not in self._deleted and (self._nodes.listing or not len(self._nodes)):
            return Wish(
                waits_for="Kubernetes lists no node at all, as a new or lost cluster does: the node's place in the "
                "network stays until there is a node, or until it is removed with overlay_absent_nodes",
                retry=True,
                hands_off=True,
            )
        return NOTHING


def _has_switch(name: str, database: Database) -> bool:
    """Whether a node has a switch, which only the roles make for a Windows node: it runs Open vSwitch with OVN."""
    record = record_of(name, database)
    return record is not None and record.table == "Logical_Switch"


def _waits(reason: str) -> Wish:
    return Wish(waits_for=reason, hands_off=True)


def _marked(row: Row, node: ClusterNode) -> Row:
    if row.table != "Logical_Switch":
        return row
    ids = row.columns["external_ids"]
    return Row(
        row.table,
        row.name,
        {**row.columns, "external_ids": MapPatch({**ids.set, MARK: node.uid}, ids.remove)},
        row.owner,
        row.parent,
    )
