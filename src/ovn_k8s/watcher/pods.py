# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""Pods: an address each, and the logical switch port that carries it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator

from ovn_k8s.core.addresses import AddressError
from ovn_k8s.core.database import Database, StoredRow
from ovn_k8s.core.ipam import AddressBook, AddressRefused, Lease, PodKey, SubnetFull
from ovn_k8s.core.pods import OWNER_PREFIX, Pod, pod_port
from ovn_k8s.daemon.log import fields
from ovn_k8s.kubernetes.informer import Informer

from .handler import NOTHING, Handler, Wish
from .workqueue import Key

LOG = logging.getLogger(__name__)

KIND = "pod"


class PodHandler(Handler):
    """Pods with a network of their own get a port on the switch of their node.

    `wired(pod, lease)` is called for each pod whose port is known to be in the database. `foreign(node)` tells of nodes
    whose pods have their network from elsewhere.
    """

    kind = KIND

    def __init__(
        self,
        pods: Informer[Pod],
        book: AddressBook,
        wired: Callable[[Pod, Lease], None],
        foreign: Callable[[str], bool] = lambda node: False,
    ) -> None:
        self._pods = pods
        self._book = book
        self._wired = wired
        self._foreign = foreign
        self._others: dict[str, frozenset[str]] = {}  # addresses of ports that are no pod's, by the port's name
        self.seen: dict[PodKey, Pod | None] = {}
        """What `wish` found in the cache, for who has to decide by the same; whoever begins a batch clears it."""

    def everything(self) -> Iterator[Key]:
        """Pods that need a port."""
        return (Key(KIND, *pod.key) for pod in self._pods.all() if pod.needs_port)

    def keys_on(self, node: str) -> list[Key]:
        """Pods of one node that need a port."""
        return [Key(KIND, *pod.key) for pod in self._pods.all() if pod.node == node and pod.needs_port]

    def reset(self) -> None:
        """Forget the book of addresses: another watcher may have given some."""
        self._book.clear()

    def prepare(self, database: Database) -> None:
        """Rebuild the book of addresses: the database says who has which; what is in memory already stays."""
        self._subnets(database)
        ports = [(port, node) for node, port in _ports_of_switches(database)]
        before, self._others = self._others, {}
        for port, node in ports:
            if not port.owner.startswith(OWNER_PREFIX):
                self._others[str(port.columns["name"])] = frozenset(addresses_of(port))
                for address in addresses_of(port):
                    self._book.reserve(node, address)
        self._give_back(frozenset[str]().union(*before.values()))
        rows = [(key, port, node) for port, node in ports if (key := pod_key(port.owner)) is not None]
        for key, port, node in sorted(rows, key=self._precedence):
            self._adopt(key, port, node)
        for pod in self._pods.all():
            # Before anybody new: pods that run but whose rows were lost.
            if pod.needs_port and pod.address and self._book.held(pod.key) is None:
                self._book.adopt(pod.key, pod.sandbox_uid, pod.node, pod.address)

    def switch_changed(self, name: str, database: Database) -> bool:
        """Take over what the database says about a node's switch; True when pods of the node are affected."""
        switch = database.find("Logical_Switch", name)
        subnet = switch.columns["other_config"].get("subnet", "") if switch else ""
        if not subnet:
            self._book.drop_subnet(name)
            return False
        return self._set_subnet(name, subnet)

    def port_changed(self, name: str, database: Database) -> None:
        """A port that is no pod's has come, gone or changed: its addresses are not for pods as long as it has them."""
        port = database.find("Logical_Switch_Port", name)
        before, now = self._others.pop(name, frozenset[str]()), frozenset[str]()
        if port is not None and not port.owner.startswith(OWNER_PREFIX):
            self._others[name] = now = frozenset(addresses_of(port))
        for node in self._book.nodes():
            for address in now:
                self._book.reserve(node, address)
        self._give_back(before)

    def wish(self, key: Key, database: Database) -> Wish:
        """The pod's port; none for a pod that is gone, over, or on the host's network."""
        pod = self.seen[key.namespace, key.name] = self._pods.get((key.namespace, key.name))
        if pod is None or not pod.needs_port or (self._foreign(pod.node) and not self._book.knows(pod.node)):
            self._book.end((key.namespace, key.name))
            return NOTHING
        if not self._book.knows(pod.node):
            self._book.end(pod.key)
            return Wish(waits_for=f"node {pod.node} has no logical switch with a subnet")
        try:
            lease = self._lease(pod)
        except SubnetFull as error:
            self._book.end(pod.key)
            return Wish(waits_for=f"node {pod.node}: {error}", retry=True)
        except AddressRefused as error:
            self._book.end(pod.key)
            asked = f"the pod asks for {pod.asks} and cannot have it: {error}"
            return Wish(waits_for=asked, retry=True, refused=asked)
        late = f"the pod asks for {pod.asks} but has {lease.address} already; a pod's address never changes"
        return Wish((pod_port(pod, lease),), refused=late if pod.asks and pod.asks != lease.address else "")

    def _lease(self, pod: Pod) -> Lease:
        if pod.asks and not pod.address:
            return self._book.lease_of(pod.key, pod.sandbox_uid, pod.node, pod.asks)
        # A pod that runs already keeps the address that its interface has, whatever became of its row.
        return self._book.lease(pod.key, pod.sandbox_uid, pod.node, preferred=pod.address)

    def settled(self, key: Key) -> None:
        """Free what the pod had before; pass on the pod that has its port now."""
        name = (key.namespace, key.name)
        self._book.settle(name)
        pod, lease = self._pods.get(name), self._book.held(name)
        if pod is not None and lease is not None and pod.sandbox_uid == lease.uid:
            self._wired(pod, lease)

    def _give_back(self, addresses: frozenset[str]) -> None:
        """Addresses that ports of others had: those that none has any more are for pods again."""
        for address in addresses.difference(*self._others.values()):
            for node in self._book.nodes():
                self._book.give_back(node, address)

    def _subnets(self, database: Database) -> None:
        found = {}
        for switch in database.rows("Logical_Switch"):
            subnet = switch.columns["other_config"].get("subnet", "")
            if subnet:
                found[switch.columns["name"]] = subnet
        for node in self._book.nodes():
            if node not in found:
                self._book.drop_subnet(node)
        for node, subnet in found.items():
            self._set_subnet(node, subnet)

    def _set_subnet(self, node: str, subnet: str) -> bool:
        try:
            changed: bool = self._book.set_subnet(node, subnet)
            return changed
        except AddressError as error:
            LOG.error("logical switch %s: other_config:subnet: %s; its pods get no port", node, error)
            self._book.drop_subnet(node)
            return False

    def _precedence(self, row: tuple[PodKey, StoredRow, str]) -> tuple[bool, bool, PodKey]:
        """Whose claim to an address counts first: a pod that lives, one that is known to use it, then by name."""
        key, port, _ = row
        pod = self._pods.get(key)
        alive = pod is not None and pod.sandbox_uid == port.columns["external_ids"].get("pod_uid")
        uses = pod is not None and pod.address in addresses_of(port)
        return not alive, not uses, key

    def _adopt(self, key: PodKey, port: StoredRow, node: str) -> None:
        if self._book.held(key) is not None:
            return
        uid = port.columns["external_ids"].get("pod_uid", "")
        for address in addresses_of(port):
            if self._book.adopt(key, uid, node, address):
                return
            LOG.error(
                "address is another port's or no pod address of the node's subnet; the pod gets a new one",
                extra=fields(object=f"pod/{key[0]}/{key[1]}", address=address, node=node),
            )


def pod_key(owner: str) -> PodKey | None:
    """Namespace and name of the pod that owns a row, or None when no pod does."""
    if not owner.startswith(OWNER_PREFIX):
        return None
    namespace, _, name = owner.removeprefix(OWNER_PREFIX).partition("/")
    return (namespace, name) if namespace and name else None


def addresses_of(port: StoredRow) -> list[str]:
    """IP addresses of a logical switch port, from entries like `0a:58:0a:f4:01:03 10.244.1.3`."""
    return [word for entry in sorted(port.columns.get("addresses", ())) for word in entry.split()[1:] if "." in word]


def _ports_of_switches(database: Database) -> Iterable[tuple[str, StoredRow]]:
    for switch in database.rows("Logical_Switch"):
        for uuid in switch.columns["ports"]:
            port = database.get("Logical_Switch_Port", uuid)
            if port is not None:
                yield switch.columns["name"], port
