# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""Namespaces with a way out of their own, by annotation. `core.egress_rows` says what becomes of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from ipaddress import IPv4Address, IPv4Network

from ovn_k8s.core.database import Database
from ovn_k8s.core.egress_rows import KIND, Exit, Inside, NoExit, choose, egress_rows, exits, node_addresses
from ovn_k8s.core.ipam import AddressBook
from ovn_k8s.core.layout import cluster_router
from ovn_k8s.core.pods import Pod
from ovn_k8s.core.policies import Namespace
from ovn_k8s.kubernetes.informer import Informer

from .handler import NOTHING, Wish
from .workqueue import Key


class EgressHandler:
    """One key for each annotated namespace. `pods` is indexed by namespace, `networks` are the cluster's own."""

    kind = KIND

    def __init__(
        self,
        namespaces: Informer[Namespace],
        pods: Informer[Pod],
        book: AddressBook,
        networks: Sequence[IPv4Network],
    ) -> None:
        self._namespaces = namespaces
        self._pods = pods
        self._book = book
        self._networks = tuple(map(str, networks))
        self._exits: tuple[Exit, ...] = ()
        self._inside = Inside(self._networks)

    def everything(self) -> Iterator[Key]:
        """Every namespace that is annotated."""
        return (_key(namespace.name) for namespace in self._namespaces.all() if namespace.egress)

    def told(self, namespace: str) -> list[Key]:
        """What a change of a pod affects. For the informer's listener, and when a pod has its port."""
        known = self._namespaces.get(namespace)
        return [_key(namespace)] if known is not None and known.egress else []

    def namespace_told(self, old: Namespace | None, new: Namespace | None) -> list[Key]:
        """What a change of a namespace affects. For the informer's listener."""
        before, after = (one.egress if one is not None else None for one in (old, new))
        named = new or old
        return [_key(named.name)] if named is not None and before != after else []

    def prepare(self, database: Database) -> None:
        """Learn the gateways and what is inside."""
        self._exits = exits(database)
        self._inside = Inside((*self._networks, *sorted(node_addresses(database))))

    def nodes_changed(self, database: Database) -> list[Key]:
        """All of them, when a gateway or a node came, went, changed its address, or another gateway has addresses."""
        before = self._exits, self._inside
        self.prepare(database)
        return list(self.everything()) if before != (self._exits, self._inside) else []

    def wish(self, key: Key, database: Database) -> Wish:
        """The namespace's rows; a drop while what it asks for cannot be had."""
        namespace = self._namespaces.get(key.name)
        if namespace is None or not namespace.egress:
            return NOTHING
        router = cluster_router(database)
        if not router:
            return Wish(waits_for="there is no cluster router in the northbound database", retry=True, hands_off=True)
        gateway, address = namespace.egress
        addresses = list(self._addresses(key.name))
        try:
            way, reason = choose(gateway, address, self._exits), ""
        except NoExit as error:
            way, reason = None, f"{error}; its pods do not get out of the cluster"
        return Wish(tuple(egress_rows(router, key.name, addresses, way, self._inside)), waits_for=reason)

    def settled(self, key: Key) -> None:
        """Nothing is kept."""

    def _addresses(self, namespace: str) -> Iterator[IPv4Address]:
        """Those of the namespace's pods: in the book, or given by somebody else, as Windows nodes give them."""
        for pod in self._pods.indexed(namespace):
            if not pod.needs_port:
                continue
            lease = self._book.held(pod.key)
            text = str(lease.address) if lease is not None and lease.uid == pod.sandbox_uid else pod.address
            if text:
                yield IPv4Address(text)


def namespace_of(pod: Pod) -> str:
    """The index of pods."""
    return pod.namespace


def _key(namespace: str) -> Key:
    return Key(KIND, "", namespace)
