# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""NetworkPolicies: who has to be looked at when a pod, a namespace or a policy changes, and what they want.

A pod's port is written in one transaction with the groups of the policies that select it: there is no moment in which
the port is there and not isolated.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from ipaddress import IPv4Network

from ovn_k8s.core.database import Database
from ovn_k8s.core.ipam import AddressBook
from ovn_k8s.core.pods import Pod, pod_port_name
from ovn_k8s.core.policies import Namespace, NetworkPolicy, Peers
from ovn_k8s.core.policy_index import Affected, Member, PodKey, PolicyIndex
from ovn_k8s.core.policy_rows import (
    NODES_OWNER,
    meter_rows,
    nodes_row,
    own_node_row,
    peers_owner,
    peers_row,
    policy_group,
    policy_rows,
    returning_row,
)
from ovn_k8s.core.rows import Ref, Row
from ovn_k8s.kubernetes.informer import Informer

from . import pods as pod_handling
from .handler import NOTHING, Handler, Wish
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
        services: IPv4Network,
    ) -> None:
        """`services`: where services have their addresses."""
        self.index = PolicyIndex()
        self.services = services
        self.policies = policies
        self._pods = pods
        self._namespaces = namespaces
        self._book = book
        self._pending: dict[Key, set[Key]] = {}
        self._coming: frozenset[PodKey] = frozenset()

    def handlers(self) -> tuple[PolicyHandler, PeersHandler, NodePortsHandler, NamespaceHandler]:
        """One for each kind of key."""
        return PolicyHandler(self), PeersHandler(self), NodePortsHandler(self), NamespaceHandler()

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

    def together(
        self,
        batch: Iterable[Key],
        wishes: Mapping[Key, Wish],
        seen: Mapping[PodKey, Pod | None],
        database: Database,
    ) -> set[Key]:
        """Keys that must be committed with those of a batch, whose pods have said in `wishes` what they want.

        `seen`: those pods as they were then. One that is deleted a moment later still gets its port, with its policies.
        What a key affects is remembered until the key is settled: when its transaction fails, the next has it again.
        """
        self._coming = frozenset((key.namespace, key.name) for key, wish in wishes.items() if wish.rows)
        found: set[Key] = set()
        for key in batch:
            none_before = self.index.empty
            affected = self._update(key, seen, database)
            if affected.policies or affected.peers:
                self._pending.setdefault(key, set()).update(_keys(affected))
            if self.index.empty != none_before:  # the first policy, or the last one
                self._pending.setdefault(key, set()).add(NODES_KEY)
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

    def leaving(self, policy: NetworkPolicy, ports: Collection[object], database: Database) -> Iterator[str]:
        """Ports in a policy's group whose pods the API has no more. They stay isolated until the port itself is gone.

        After a restart the group may be written before the ports of such pods are removed; what they belonged to may
        still run.
        """
        group = database.find("Port_Group", policy_group(*policy.key))
        for uuid in group.columns["ports"] if group is not None else ():
            if uuid in ports:
                continue
            row = database.get(PORTS, uuid)
            kind, _, rest = row.owner.partition("/") if row is not None else ("", "", "")
            namespace, _, name = rest.partition("/")
            if kind == pod_handling.KIND and not self.index.knows((namespace, name)):
                yield uuid

    def _update(self, key: Key, seen: Mapping[PodKey, Pod | None], database: Database) -> Affected:
        """Bring the index up to date with one object; what that affects."""
        if key.kind == POLICY:
            name = (key.namespace, key.name)
            return self.index.set_policy(name, self.policies.get(name))
        if key.kind == NAMESPACE:
            return self.index.set_namespace(key.name, self._namespaces.get(key.name))
        if key.kind != pod_handling.KIND:
            return Affected()
        pod_key = (key.namespace, key.name)
        pod = seen.get(pod_key)
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


class PolicyHandler(Handler):
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

    def wish(self, key: Key, database: Database) -> Wish:
        """The policy's rows, as the index has it."""
        index = self._policies.index
        policy = index.policy((key.namespace, key.name))
        if policy is None:
            return NOTHING
        ports = set(self._policies.ports(index.selected(policy.key), database))
        ports.update(self._policies.leaving(policy, ports, database))
        rows = policy_rows(policy, ports, index.resolver(policy), index.logging(policy.namespace))
        return Wish(rows, waits_for="; ".join(policy.unread))


class PeersHandler(Handler):
    """The address set of peers, shared by all policies that name the same."""

    kind = PEERS

    def __init__(self, policies: Policies) -> None:
        self._policies = policies

    def everything(self) -> Iterator[Key]:
        """All peers that some policy names."""
        return (key_of(peers_owner(peers)) for peers in self._policies.index.peers())

    def wish(self, key: Key, database: Database) -> Wish:
        """The addresses, as long as some policy names the peers."""
        index = self._policies.index
        peers: Peers | None = index.peers_by_id(key.name)
        return Wish((peers_row(peers, index.addresses(peers)),)) if peers is not None else NOTHING


class NodePortsHandler(Handler):
    """What a node's switch lets through whatever policies say; and what policies share while there are any."""

    kind = NODES

    def __init__(self, policies: Policies) -> None:
        self._policies = policies

    def everything(self) -> Iterator[Key]:
        """The one key."""
        yield NODES_KEY

    def nodes_changed(self, database: Database) -> list[Key]:
        """A node may have come, or its address changed."""
        return [NODES_KEY]

    def wish(self, key: Key, database: Database) -> Wish:
        """ACLs on the switch of each node that is there; while there are policies, also the group of the nodes' ports.

        A switch heeds `allow-stateless` only beside an ACL of another kind, hence both are always there.
        """
        ports: list[str] = []
        rows: list[Row] = []
        for switch in database.rows("Logical_Switch"):
            name = str(switch.columns["name"])
            port = database.find(PORTS, f"k8s-{name}")
            if port is None:
                continue
            ports.append(port.uuid)
            addresses = set(pod_handling.addresses_of(port))
            if addresses:
                rows.append(returning_row(name, str(port.columns["name"]), addresses, self._policies.services))
            route = database.find("Logical_Router_Static_Route", f"{port.owner}/address")
            if route is not None:
                addresses.add(str(route.columns["ip_prefix"]).removesuffix("/32"))
            if addresses:
                rows.append(own_node_row(name, addresses))
        if not self._policies.index.empty:
            rows += [nodes_row(ports), *meter_rows()]
        return Wish(tuple(rows))


class NamespaceHandler(Handler):
    """Namespaces have no rows; their labels decide about peers, their annotation about logging."""

    kind = NAMESPACE

    def wish(self, key: Key, database: Database) -> Wish:
        """Nothing."""
        return NOTHING
