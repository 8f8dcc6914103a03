# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""NetworkPolicies: who has to be looked at when a pod, a namespace or a policy changes, and what they want.

A pod's port is written in one transaction with the groups of the policies that select it: there is no moment in which
the port is there and not isolated.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from ovn_k8s.core.database import Database
from ovn_k8s.core.ipam import AddressBook
from ovn_k8s.core.pods import Pod, pod_port_name
from ovn_k8s.core.policies import Namespace, NetworkPolicy, Peers
from ovn_k8s.core.policy_index import Affected, Member, PodKey, PolicyIndex
from ovn_k8s.core.policy_rows import NODES_OWNER, nodes_row, peers_owner, peers_row, policy_rows
from ovn_k8s.core.rows import Ref
from ovn_k8s.kubernetes.informer import Informer

from . import pods as pod_handling
from .handler import NOTHING, Wish
from .workqueue import Key

POLICY = "policy"
PEERS = "peers"
NODES = "nodeports"
NAMESPACE = "namespace"
KINDS = (POLICY, PEERS, NODES)
"""The kinds of keys with rows."""

PORTS = "Logical_Switch_Port"


def key_of(owner: str) -> Key:
    """The key of an owner of rows."""
    return Key(*owner.split("/", 2))


NODES_KEY = key_of(NODES_OWNER)


class Policies:
    """What the handlers of policies, of peers and of namespaces share: the index, brought up to date batch by batch."""

    def __init__(
        self,
        pods: Informer[Pod],
        namespaces: Informer[Namespace],
        policies: Informer[NetworkPolicy],
        book: AddressBook,
    ) -> None:
        self.index = PolicyIndex()
        self.policies = policies
        self._pods = pods
        self._namespaces = namespaces
        self._book = book
        self._pending: dict[Key, set[Key]] = {}
        self._coming: frozenset[PodKey] = frozenset()

    def handlers(self) -> tuple[PolicyHandler, PeersHandler, NodePortsHandler, NamespaceHandler]:
        """One for each kind of key."""
        return PolicyHandler(self), PeersHandler(self), NodePortsHandler(self), NamespaceHandler(self)

    def prepare(self) -> None:
        """Begin anew from the caches."""
        self.index = PolicyIndex()
        self._pending.clear()
        for namespace in self._namespaces.all():
            self.index.set_namespace(namespace.name, namespace)
        for policy in self.policies.all():
            self.index.set_policy(policy.key, policy)
        for pod in self._pods.all():
            self.index.set_pod(pod.key, self._member(pod))

    def together(self, batch: Iterable[Key], wishes: Mapping[Key, Wish], database: Database) -> set[Key]:
        """Keys that must be committed with those of a batch, whose pods have said in `wishes` what they want.

        What a key affects is remembered until the key is settled: when its transaction fails, the next has it again.
        """
        self._coming = frozenset((key.namespace, key.name) for key, wish in wishes.items() if wish.rows)
        found: set[Key] = set()
        for key in batch:
            affected = self._update(key, database)
            if affected.policies or affected.peers:
                self._pending.setdefault(key, set()).update(_keys(affected))
            found |= self._pending.get(key, set())
        return found

    def settled(self, key: Key) -> None:
        """The database holds what this key affected."""
        self._pending.pop(key, None)

    def ports(self, pods: Iterable[PodKey], database: Database) -> Iterator[object]:
        """References to the ports that pods have or get in this transaction. The others bring their policies along."""
        for key in pods:
            name = pod_port_name(*key)
            row = database.find(PORTS, name)
            if row is not None:
                yield row.uuid
            elif key in self._coming:
                yield Ref(PORTS, name)

    def _update(self, key: Key, database: Database) -> Affected:
        """Bring the index up to date with one object; what that affects."""
        if key.kind == POLICY:
            name = (key.namespace, key.name)
            return self.index.set_policy(name, self.policies.get(name))
        if key.kind == NAMESPACE:
            return self.index.set_namespace(key.name, self._namespaces.get(key.name))
        if key.kind != pod_handling.KIND:
            return Affected()
        pod_key = (key.namespace, key.name)
        pod = self._pods.get(pod_key)
        affected = self.index.set_pod(pod_key, self._member(pod) if pod else None)
        if pod_key in self._coming and database.find(PORTS, pod_port_name(*pod_key)) is None:
            affected.policies |= self.index.policies_of(pod_key)
        return affected

    def _member(self, pod: Pod) -> Member | None:
        """A pod on its node's network is nobody's peer: its address is the node's."""
        if not pod.needs_port:
            return None
        lease = self._book.held(pod.key)
        ours = lease is not None and lease.uid == pod.sandbox_uid
        return Member(pod.labels, str(lease.address) if lease is not None and ours else pod.address, pod.ports)


def _keys(affected: Affected) -> Iterator[Key]:
    for namespace, name in affected.policies:
        yield Key(POLICY, namespace, name)
    for peers in affected.peers:
        yield key_of(peers_owner(peers))
    if affected.policies:
        yield NODES_KEY


class PolicyHandler:
    """A policy's port group, ACLs, and the addresses behind its named ports."""

    kind = POLICY

    def __init__(self, policies: Policies) -> None:
        self._policies = policies

    def everything(self) -> Iterator[Key]:
        """Every policy."""
        return (Key(POLICY, *policy.key) for policy in self._policies.policies.all())

    def prepare(self, database: Database) -> None:
        """Build the index, for the other handlers as well."""
        self._policies.prepare()

    def nodes_changed(self, database: Database) -> list[Key]:
        """Nothing: pods bring their policies along."""
        return []

    def wish(self, key: Key, database: Database) -> Wish:
        """The policy's rows, as the index has it."""
        index = self._policies.index
        policy = index.policy((key.namespace, key.name))
        if policy is None:
            return NOTHING
        ports = self._policies.ports(index.selected(policy.key), database)
        return Wish(policy_rows(policy, ports, index.resolver(policy), index.logging(policy.namespace)))

    def settled(self, key: Key) -> None:
        """Nothing is kept here."""


class PeersHandler:
    """The address set of peers, shared by all policies that name the same."""

    kind = PEERS

    def __init__(self, policies: Policies) -> None:
        self._policies = policies

    def everything(self) -> Iterator[Key]:
        """All peers that some policy names."""
        return (key_of(peers_owner(peers)) for peers in self._policies.index.peers())

    def prepare(self, database: Database) -> None:
        """Nothing: the index is built already."""

    def nodes_changed(self, database: Database) -> list[Key]:
        """Nothing."""
        return []

    def wish(self, key: Key, database: Database) -> Wish:
        """The addresses, as long as some policy names the peers."""
        index = self._policies.index
        peers: Peers | None = index.peers_by_id(key.name)
        return Wish((peers_row(peers, index.addresses(peers)),)) if peers is not None else NOTHING

    def settled(self, key: Key) -> None:
        """Nothing is kept."""


class NodePortsHandler:
    """The port group of the nodes' own ports, while there are policies."""

    kind = NODES

    def __init__(self, policies: Policies) -> None:
        self._policies = policies

    def everything(self) -> Iterator[Key]:
        """The one group."""
        yield NODES_KEY

    def prepare(self, database: Database) -> None:
        """Nothing is kept."""

    def nodes_changed(self, database: Database) -> list[Key]:
        """The group has to be looked at: a node's port may have come."""
        return [NODES_KEY]

    def wish(self, key: Key, database: Database) -> Wish:
        """The group, with the ports that are there."""
        if not any(True for _ in self._policies.index.policies()):
            return NOTHING
        names = (f"k8s-{row.columns['name']}" for row in database.rows("Logical_Switch"))
        found = (database.find(PORTS, name) for name in names)
        return Wish((nodes_row(row.uuid for row in found if row is not None),))

    def settled(self, key: Key) -> None:
        """Nothing is kept."""


class NamespaceHandler:
    """Namespaces have no rows; their labels decide about peers, their annotation about logging."""

    kind = NAMESPACE

    def __init__(self, policies: Policies) -> None:
        self._policies = policies

    def everything(self) -> Iterator[Key]:
        """None: the index begins with all of them."""
        return iter(())

    def prepare(self, database: Database) -> None:
        """Nothing: the index is built already."""

    def nodes_changed(self, database: Database) -> list[Key]:
        """Nothing."""
        return []

    def wish(self, key: Key, database: Database) -> Wish:
        """Nothing."""
        return NOTHING

    def settled(self, key: Key) -> None:
        """Nothing is kept here."""
