# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""The ways out of the cluster: a default route for each gateway, closed while the gateway does not answer.

The route also has the mark of who has the addresses that are no gateway's own (`core.gateway_duties`).

OVN's own BFD cannot watch a gateway from here: the cluster router is on no chassis, and between two gateway routers a
session never begins, because ovn-controller only takes in messages that carry its discriminator already. So the watcher
asks each gateway's own port for an answer, through the overlay, as pods' packets go.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from ipaddress import IPv4Interface

from ovn_k8s.core.database import Database
from ovn_k8s.core.gateway_duties import chosen, gateways
from ovn_k8s.core.layout import cluster_router
from ovn_k8s.core.topology import exit_route, gateway_owner, gateway_router, join_port

from .handler import NOTHING, Wish
from .workqueue import Key

KIND = "exit"


class ExitHandler:
    """A default route for every gateway router. `is_open`: is it to be used; None when it stays as it is."""

    kind = KIND

    def __init__(self, is_open: Callable[[str], bool | None]) -> None:
        self._is_open = is_open
        self._gateways: tuple[str, ...] = ()

    def everything(self) -> Iterable[Key]:
        """Every gateway as of the last look. From any thread."""
        return (Key(KIND, "", name) for name in self._gateways)

    def prepare(self, database: Database) -> None:
        """Learn the gateways."""
        self._gateways = tuple(gateways(database))

    def nodes_changed(self, database: Database) -> list[Key]:
        """Every gateway: routers may have come or gone."""
        before = self._gateways
        self.prepare(database)
        return [Key(KIND, "", name) for name in {*before, *self._gateways}]

    def wish(self, key: Key, database: Database) -> Wish:
        """The route; nothing when there is no such gateway."""
        router = cluster_router(database)
        port = database.find("Logical_Router_Port", join_port(gateway_router(key.name)))
        if not router or port is None or port.owner != gateway_owner(key.name):
            return NOTHING
        address = IPv4Interface(min(port.columns["networks"])).ip
        holds = key.name in chosen(database, self._is_open)
        return Wish((exit_route(router, key.name, address, self._is_open(key.name), holds),))

    def settled(self, key: Key) -> None:
        """Nothing is kept."""


def probe_targets(database: Database) -> Mapping[str, str]:
    """The addresses of the gateways' own ports, by gateway; none while there is but one, which is used in any case."""
    names = gateways(database)
    if len(names) < 2:
        return {}
    ports = {name: database.find("Logical_Switch_Port", f"k8s-{name}") for name in names}
    return {name: min(port.columns["addresses"]).split()[-1] for name, port in ports.items() if port is not None}
