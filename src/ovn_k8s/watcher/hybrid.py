# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""Windows nodes without OVN: the Linux nodes' ports towards their overlay, the ways there, and what nodes announce.

A Windows node's pods have no logical port. Who needs their addresses takes them from the pods' status.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from ipaddress import IPv4Address, IPv4Interface, IPv4Network

from ovn_k8s.core.addresses import AddressError, pod_addresses
from ovn_k8s.core.database import Database
from ovn_k8s.core.hybrid_overlay import (
    KIND,
    ROUTER_ADDRESS_ANNOTATION,
    ROUTER_MAC_ANNOTATION,
    ROUTES_ANNOTATION,
    SUBNET_ANNOTATION,
    LinuxNode,
    Peer,
    linux_rows,
    peer,
    port_name,
    routes_text,
    windows_rows,
)
from ovn_k8s.core.ipam import AddressBook
from ovn_k8s.core.layout import cluster_router, record_of, stored_subnets
from ovn_k8s.core.nodes import ClusterNode
from ovn_k8s.core.topology import gateway_router, join_port
from ovn_k8s.kubernetes.informer import Informer

from .handler import NOTHING, Wish
from .pods import addresses_of
from .workqueue import Key

Announce = Callable[[str, Mapping[str, str]], None]


class HybridHandler:
    """One key for each node, of either kind. `announce(node, annotations)` must return at once."""

    kind = KIND

    def __init__(self, nodes: Informer[ClusterNode], book: AddressBook, announce: Announce) -> None:
        self._nodes = nodes
        self._book = book
        self._announce = announce
        self._announced: dict[str, dict[str, str]] = {}
        self._chosen: dict[str, IPv4Address] = {}  # overlay routers' addresses that may not be in the database yet

    def keys(self) -> list[Key]:
        """Every node of the API."""
        return [_key(node.name) for node in self._nodes.all()]

    def told(self, old: ClusterNode | None, new: ClusterNode | None) -> list[Key]:
        """What a change of the API affects. For the informer's listener."""
        named = [node for node in (old, new) if node is not None]
        keys = [_key(node.name) for node in named[-1:]]
        if any(node.windows for node in (*named, *self._nodes.all())):
            keys += self.keys()
        return list(dict.fromkeys(keys))

    def everything(self) -> Iterator[Key]:
        """Every node of the API."""
        return iter(self.keys())

    def prepare(self, database: Database) -> None:
        """Begin anew; the pods' handler has reserved the addresses of the ports that are there."""
        self._chosen.clear()

    def nodes_changed(self, database: Database) -> list[Key]:
        """A switch or a gateway came or went, or an overlay router."""
        return self.keys()

    def wish(self, key: Key, database: Database) -> Wish:
        """The rows of a node; none when there is no Windows node without OVN."""
        self._announced.pop(key.name, None)
        overlay = self._overlay(database)
        if not overlay:
            return NOTHING
        if key.name in overlay:
            return self._windows(overlay[key.name], database, stored_subnets(database)[key.name])
        return self._linux(key.name, overlay, database)

    def settled(self, key: Key) -> None:
        """The node may be told what has become true. Its address is the database's to know from now on."""
        self._chosen.pop(key.name, None)
        announced = self._announced.pop(key.name, None)
        node = self._nodes.get(key.name)
        if announced and node is not None and any(node.annotations.get(k) != v for k, v in announced.items()):
            self._announce(key.name, announced)

    def _overlay(self, database: Database) -> dict[str, ClusterNode]:
        """The Windows nodes that have a subnet and no OVN."""
        return {node.name: node for node in self._nodes.all() if node.windows and is_overlay_node(node.name, database)}

    def _windows(self, node: ClusterNode, database: Database, subnet: IPv4Network) -> Wish:
        router, entry = cluster_router(database), self._entry(database)
        self._announced[node.name] = {SUBNET_ANNOTATION: str(subnet)}
        through = self._through(entry, router, database) if entry else "[]"
        if through != node.annotations.get(ROUTES_ANNOTATION, "[]"):
            self._announced[node.name][ROUTES_ANNOTATION] = through
        try:
            reached = peer(node, subnet)
        except AddressError as error:
            return Wish(waits_for=str(error))
        if not router or entry is None:
            return Wish(waits_for="there is no Linux node that Kubernetes knows and that has a subnet")
        return Wish(tuple(windows_rows(router, reached, entry)))

    def _through(self, entry: LinuxNode, router: str, database: Database) -> str:
        """What a Windows node reaches through `entry`: machines with OVN that are no nodes, and their gateways."""
        known = {node.name for node in self._nodes.all()}
        others = {name: subnet for name, subnet in stored_subnets(database).items() if name not in known}
        subnets = list(others.values())
        join = database.find("Logical_Router_Port", join_port(router))
        if join is not None and any(_join_address(name, database) for name in others):
            subnets += [IPv4Interface(text).network for text in join.columns["networks"]]
        node = self._nodes.get(entry.name)
        return routes_text(entry, node.address, subnets) if node is not None and node.address else "[]"

    def _linux(self, name: str, overlay: Mapping[str, ClusterNode], database: Database) -> Wish:
        router = cluster_router(database)
        node = self._nodes.get(name)
        if not router or node is None or node.windows or name not in stored_subnets(database):
            self._chosen.pop(name, None)
            return NOTHING
        linux = self._linux_node(name, database)
        if linux is None:
            return Wish(waits_for=f"the subnet of node {name} has no address left for its overlay router", retry=True)
        self._announced[name] = {
            SUBNET_ANNOTATION: str(linux.subnet),
            ROUTER_MAC_ANNOTATION: linux.router_mac,
            ROUTER_ADDRESS_ANNOTATION: str(linux.router_address),
        }
        return Wish(tuple(linux_rows(router, linux, self._peers(overlay, database))))

    def _peers(self, overlay: Mapping[str, ClusterNode], database: Database) -> Iterator[Peer]:
        subnets = stored_subnets(database)
        for name, node in overlay.items():
            try:
                yield peer(node, subnets[name])
            except AddressError:
                continue  # its own key says so

    def _linux_node(self, name: str, database: Database) -> LinuxNode | None:
        """A Linux node with the address that its overlay router has, or the highest that is free: pods get low ones."""
        subnet = stored_subnets(database)[name]
        address = _stored_address(name, database) or self._chosen.get(name)
        if address is None or address not in subnet:
            free = (str(IPv4Address(number)) for number in reversed(pod_addresses(subnet)))
            taken = next((text for text in free if self._book.take(name, text)), None)
            if taken is None:
                return None
            address = self._chosen[name] = IPv4Address(taken)
        return LinuxNode(name, subnet, address, _join_address(name, database))

    def _entry(self, database: Database) -> LinuxNode | None:
        """The node through which goes what nobody sends by another way: one with a gateway, if there is one."""
        subnets = stored_subnets(database)
        names = sorted(node.name for node in self._nodes.all() if not node.windows and node.name in subnets)
        name = min(names, key=lambda name: (_join_address(name, database) is None, name), default=None)
        return self._linux_node(name, database) if name else None


def _key(name: str) -> Key:
    return Key(KIND, "node", name)


def is_overlay_node(name: str, database: Database) -> bool:
    """Whether a node has a record of its subnet only: its pods get their addresses from the node itself."""
    record = record_of(name, database)
    return record is not None and record.table != "Logical_Switch"


def _stored_address(name: str, database: Database) -> IPv4Address | None:
    port = database.find("Logical_Switch_Port", port_name(name))
    found = addresses_of(port) if port is not None else []
    return IPv4Address(found[0]) if found else None


def _join_address(name: str, database: Database) -> IPv4Address | None:
    """The address of the node's gateway router in the join network."""
    port = database.find("Logical_Router_Port", join_port(gateway_router(name)))
    return IPv4Interface(min(port.columns["networks"])).ip if port is not None and port.columns["networks"] else None
