# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""The gateways' ways to nodes, whose addresses are endpoints of services: pods with the host's network, API servers."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Interface

from ovn_k8s.core.database import Database
from ovn_k8s.core.egress_rows import node_addresses
from ovn_k8s.core.gateway_duties import gateways
from ovn_k8s.core.layout import cluster_router
from ovn_k8s.core.topology import gateway_router, join_port, way_to_nodes

from .handler import NOTHING, Wish
from .workqueue import Key

KIND = "node-ways"


class NodeWayHandler:
    """One key for each gateway. Nodes and gateways that come, go or change bring all of them up again."""

    kind = KIND

    def __init__(self) -> None:
        self._gateways: tuple[str, ...] = ()
        self._nodes: tuple[str, ...] = ()

    def everything(self) -> Iterable[Key]:
        """Every gateway as of the last look."""
        return (Key(KIND, "", name) for name in self._gateways)

    def prepare(self, database: Database) -> None:
        """Learn gateways and nodes."""
        self._gateways = tuple(gateways(database))
        self._nodes = tuple(sorted(prefix.partition("/")[0] for prefix in node_addresses(database)))

    def nodes_changed(self, database: Database) -> list[Key]:
        """All of them when gateways or nodes' addresses are others than before."""
        before = self._gateways, self._nodes
        self.prepare(database)
        if before == (self._gateways, self._nodes):
            return []
        return [Key(KIND, "", name) for name in sorted({*before[0], *self._gateways})]

    def wish(self, key: Key, database: Database) -> Wish:
        """The gateway's way; nothing without a gateway or nodes."""
        router = cluster_router(database)
        port = database.find("Logical_Router_Port", join_port(router)) if router else None
        if port is None or not self._nodes or database.find("Logical_Router", gateway_router(key.name)) is None:
            return NOTHING
        return Wish((way_to_nodes(key.name, IPv4Interface(min(port.columns["networks"])).ip, self._nodes),))

    def settled(self, key: Key) -> None:
        """Nothing is kept."""
