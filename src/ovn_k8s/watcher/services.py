# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""Services: load balancers in the group that every node's switch uses, and on the routers of gateways."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator

from ovn_k8s.core.database import Database
from ovn_k8s.core.service_rows import (
    Surroundings,
    is_outside,
    knows_affinity,
    service_rows,
    surroundings,
)
from ovn_k8s.core.services import Claim, EndpointSlice, Service
from ovn_k8s.core.topology import LOAD_BALANCER_GROUP
from ovn_k8s.daemon.log import fields
from ovn_k8s.kubernetes.informer import Informer

from .handler import NOTHING, Handler, Wish
from .workqueue import Key

LOG = logging.getLogger(__name__)

KIND = "service"


class ServiceHandler(Handler):
    """Services with cluster addresses. `slices` is indexed by namespace and name of the service.

    Of several that claim one external address and port the oldest has it. `again` is given those that have to be looked
    at again because another one's claims have changed.
    """

    kind = KIND

    def __init__(
        self,
        services: Informer[Service],
        slices: Informer[EndpointSlice],
        again: Callable[[list[Key]], None],
    ) -> None:
        self._services = services
        self._slices = slices
        self._again = again
        self._claims: dict[tuple[str, str], frozenset[Claim]] = {}
        self._claimants: dict[Claim, set[tuple[str, str]]] = {}
        self._around = Surroundings()
        self._warned: set[tuple[str, str]] = set()

    def everything(self) -> Iterator[Key]:
        """Every service."""
        return (Key(KIND, *service.key) for service in self._services.all())

    def prepare(self, database: Database) -> None:
        """Note which nodes and gateways there are, and who claims what."""
        self._around = surroundings(database)
        self._claims.clear()
        self._claimants.clear()
        for service in self._services.all():
            self._claim(service.key, service.claims)

    def nodes_changed(self, database: Database) -> list[Key]:
        """Nodes or gateways may have come, gone or changed: the services whose load balancers depend on that."""
        around, before = surroundings(database), self._around
        self._around = around
        nodes = around.nodes != before.nodes
        outside = around.gateways != before.gateways or around.hosts != before.hosts
        return [
            Key(KIND, *service.key)
            for service in (self._services.all() if nodes or outside else ())
            if (nodes and (service.local or service.external_local)) or (outside and is_outside(service))
        ]

    def wish(self, key: Key, database: Database) -> Wish:
        """The service's load balancers."""
        service = self._services.get((key.namespace, key.name))
        others = self._claim((key.namespace, key.name), service.claims if service else frozenset())
        if others:
            self._again([Key(KIND, *other) for other in others])
        if service is None:
            return NOTHING
        affinity = not service.affinity_s or knows_affinity(database.schema.version)
        if not affinity and service.key not in self._warned:
            self._warned.add(service.key)
            LOG.warning("this OVN knows no session affinity; it is left out", extra=fields(object=key))
        taken = self._taken(service)
        slices = self._slices.indexed(service.key)
        rows = service_rows(service, slices, self._around, affinity=affinity, taken=taken)
        if rows and not service.local and database.find("Load_Balancer_Group", LOAD_BALANCER_GROUP) is None:
            return Wish(
                waits_for=f"there is no Load_Balancer_Group {LOAD_BALANCER_GROUP}; the master's set-up makes it"
            )
        return Wish(rows, refused="; ".join(_refusal(*claim, owner) for claim, owner in sorted(taken.items())))

    def _claim(self, key: tuple[str, str], claims: frozenset[Claim]) -> set[tuple[str, str]]:
        """Note what a service claims; the others to which the difference matters."""
        before = self._claims.get(key, frozenset())
        if claims == before:
            return set()
        for claim in before - claims:
            self._claimants[claim].discard(key)
            if not self._claimants[claim]:
                del self._claimants[claim]
        for claim in claims - before:
            self._claimants.setdefault(claim, set()).add(key)
        if claims:
            self._claims[key] = claims
        else:
            del self._claims[key]
        return {other for claim in claims ^ before for other in self._claimants.get(claim, ())} - {key}

    def _taken(self, service: Service) -> dict[Claim, tuple[str, str]]:
        """What the service claims and an older one has, and which."""
        taken = {}
        for claim in service.claims:
            rivals = (self._services.get(key) for key in self._claimants[claim] - {service.key})
            older = [rival for rival in rivals if rival and _age(rival) < _age(service)]
            if older:
                taken[claim] = min(older, key=_age).key
        return taken


def _age(service: Service) -> tuple[str, tuple[str, str]]:
    """Sorts the older first."""
    return service.created, service.key


def _refusal(address: str, protocol: str, port: int, owner: tuple[str, str]) -> str:
    return f"{address}:{port}/{protocol} belongs to the older service {'/'.join(owner)}"


def service_of(part: EndpointSlice) -> tuple[str, str] | None:
    """The index of endpoint slices: namespace and name of the service that one belongs to."""
    return (part.namespace, part.service) if part.service else None
