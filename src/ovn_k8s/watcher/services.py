# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""Services: a load balancer for each protocol, in the group that every node's switch uses."""

from __future__ import annotations

from collections.abc import Iterator

from ovn_k8s.core.database import Database
from ovn_k8s.core.services import OWNER_PREFIX, EndpointSlice, Service, service_load_balancers
from ovn_k8s.core.topology import LOAD_BALANCER_GROUP
from ovn_k8s.kubernetes.informer import Informer

from .handler import NOTHING, Wish
from .workqueue import Key

KIND = "service"


class ServiceHandler:
    """Services with cluster addresses. `slices` is indexed by namespace and name of the service."""

    kind = KIND

    def __init__(self, services: Informer[Service], slices: Informer[EndpointSlice]) -> None:
        self._services = services
        self._slices = slices

    def everything(self) -> Iterator[Key]:
        """Every service."""
        return (Key(KIND, *service.key) for service in self._services.all())

    def prepare(self, database: Database) -> None:
        """Nothing is kept in memory."""

    def wish(self, key: Key, database: Database) -> Wish:
        """The service's load balancers."""
        service = self._services.get((key.namespace, key.name))
        if service is None:
            return NOTHING
        rows = service_load_balancers(service, self._slices.indexed(service.key))
        if rows and database.find("Load_Balancer_Group", LOAD_BALANCER_GROUP) is None:
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
