# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""Services: load balancers in the group that every node's switch uses, and on the routers of gateways."""

from __future__ import annotations

import logging
from collections.abc import Iterator

from ovn_k8s.core.database import Database
from ovn_k8s.core.service_rows import (
    OWNER_PREFIX,
    Surroundings,
    is_outside,
    knows_affinity,
    service_load_balancers,
    surroundings,
)
from ovn_k8s.core.services import EndpointSlice, Service
from ovn_k8s.core.topology import LOAD_BALANCER_GROUP
from ovn_k8s.daemon.log import fields
from ovn_k8s.kubernetes.informer import Informer

from .handler import NOTHING, Wish
from .workqueue import Key

LOG = logging.getLogger(__name__)

KIND = "service"


class ServiceHandler:
    """Services with cluster addresses. `slices` is indexed by namespace and name of the service."""

    kind = KIND

    def __init__(self, services: Informer[Service], slices: Informer[EndpointSlice]) -> None:
        self._services = services
        self._slices = slices
        self._around = Surroundings()
        self._warned: set[tuple[str, str]] = set()

    def everything(self) -> Iterator[Key]:
        """Every service."""
        return (Key(KIND, *service.key) for service in self._services.all())

    def prepare(self, database: Database) -> None:
        """Note which nodes and gateways there are."""
        self._around = surroundings(database)

    def nodes_changed(self, database: Database) -> list[Key]:
        """Nodes or gateways may have come, gone or changed: the services whose load balancers depend on that."""
        around, before = surroundings(database), self._around
        self._around = around
        nodes = around.nodes != before.nodes
        outside = around.gateways != before.gateways or around.addresses != before.addresses
        return [
            Key(KIND, *service.key)
            for service in (self._services.all() if nodes or outside else ())
            if (nodes and (service.local or service.external_local)) or (outside and is_outside(service))
        ]

    def wish(self, key: Key, database: Database) -> Wish:
        """The service's load balancers."""
        service = self._services.get((key.namespace, key.name))
        if service is None:
            return NOTHING
        affinity = not service.affinity_s or knows_affinity(database.schema.version)
        if not affinity and service.key not in self._warned:
            self._warned.add(service.key)
            LOG.warning("this OVN knows no session affinity; it is left out", extra=fields(object=key))
        rows = service_load_balancers(service, self._slices.indexed(service.key), self._around, affinity=affinity)
        if rows and not service.local and database.find("Load_Balancer_Group", LOAD_BALANCER_GROUP) is None:
            return Wish(
                waits_for=f"there is no Load_Balancer_Group {LOAD_BALANCER_GROUP}; the master's set-up makes it"
            )
        return Wish(rows)

    def settled(self, key: Key) -> None:
        """Nothing is kept in memory."""


def service_of(part: EndpointSlice) -> tuple[str, str] | None:
    """The index of endpoint slices: namespace and name of the service that one belongs to."""
    return (part.namespace, part.service) if part.service else None


def service_key(owner: str) -> tuple[str, str] | None:
    """Namespace and name of the service that owns a row, or None when no service does."""
    if not owner.startswith(OWNER_PREFIX):
        return None
    namespace, _, name = owner.removeprefix(OWNER_PREFIX).partition("/")
    return (namespace, name) if namespace and name else None
