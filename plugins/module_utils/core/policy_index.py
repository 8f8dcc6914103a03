# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""Which policies select which pods, and which peers name them; kept up to date change by change.

A change tells what it affects, so that one pod's new label costs the policies of that pod and not those of all.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial

from .policies import NO_LOGGING, Logging, Namespace, NetworkPolicy, Peers, PolicyPort, Rule
from .policy_rows import Resolve
from .selectors import Labels

PodKey = tuple[str, str]
PolicyKey = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Member:
    """A pod with a network of its own, as policies see it. `ports`: (name, protocol, number) of its containers."""

    labels: Labels = ()
    address: str = ""
    ports: tuple[tuple[str, str, int], ...] = ()


@dataclass(frozen=True, slots=True)
class Ties:
    """By what a pod is selected and named."""

    policies: frozenset[PolicyKey] = frozenset()
    peers: frozenset[Peers] = frozenset()


@dataclass
class Affected:
    """What has to be looked at again."""

    policies: set[PolicyKey] = field(default_factory=set)
    peers: set[Peers] = field(default_factory=set)

    def add(self, other: Affected) -> None:
        """Take over what another change affects."""
        self.policies |= other.policies
        self.peers |= other.peers


NO_TIES = Ties()


class PolicyIndex:
    """Pods, namespaces and policies, and what they have to do with each other. Not thread-safe."""

    def __init__(self) -> None:
        self._pods: dict[PodKey, Member] = {}
        self._pods_in: dict[str, set[PodKey]] = {}
        self._namespaces: dict[str, Namespace] = {}
        self._policies: dict[PolicyKey, NetworkPolicy] = {}
        self._policies_in: dict[str, set[PolicyKey]] = {}
        self._users: dict[Peers, set[PolicyKey]] = {}
        self._peers_in: dict[str, set[Peers]] = {}  # '': those of no single namespace
        self._ties: dict[PodKey, Ties] = {}
        self._selected: dict[PolicyKey, set[PodKey]] = {}
        self._members: dict[Peers, set[PodKey]] = {}
        self._by_id: dict[str, Peers] = {}
        self._asking: set[PolicyKey] = set()  # policies that ask every pod for its named ports
        self._named_in: set[PolicyKey] = set()  # those that ask the pods that they select
        self._named_out: set[PolicyKey] = set()  # those that ask the peers that they name

    def policy(self, key: PolicyKey) -> NetworkPolicy | None:
        """A policy."""
        return self._policies.get(key)

    def policies(self) -> Iterator[PolicyKey]:
        """All policies."""
        return iter(list(self._policies))

    @property
    def empty(self) -> bool:
        """Whether there is no policy."""
        return not self._policies

    def peers(self) -> Iterator[Peers]:
        """All peers that some policy names."""
        return iter(list(self._users))

    def peers_by_id(self, identifier: str) -> Peers | None:
        """The peers that are named by some policy and have this `id`."""
        return self._by_id.get(identifier)

    def selected(self, key: PolicyKey) -> frozenset[PodKey]:
        """The pods that a policy selects."""
        return frozenset(self._selected.get(key, ()))

    def knows(self, pod: PodKey) -> bool:
        """Whether there is such a pod with a network of its own."""
        return pod in self._pods

    def policies_of(self, pod: PodKey) -> frozenset[PolicyKey]:
        """The policies that select a pod."""
        return self._ties.get(pod, NO_TIES).policies

    def addresses(self, peers: Peers) -> frozenset[str]:
        """The IPv4 addresses of peers."""
        return frozenset(self._addresses(self._members.get(peers, ())))

    def logging(self, namespace: str) -> Logging:
        """What a namespace wants logged."""
        found = self._namespaces.get(namespace)
        return found.logging if found else NO_LOGGING

    def resolver(self, policy: NetworkPolicy) -> Resolve:
        """For `policy_rows`: who has a named port, at the receiving end."""
        return partial(self._resolve, policy)

    def _resolve(self, policy: NetworkPolicy, side: str, rule: Rule, port: PolicyPort) -> dict[int, set[str]]:
        pods: Iterable[PodKey]
        if side == "in":
            pods = self._selected.get(policy.key, ())
        elif rule.anyone:
            pods = self._pods
        else:
            pods = {pod for peers in rule.peers for pod in self._members.get(peers, ())}
        found: dict[int, set[str]] = {}
        for key in pods:
            member = self._pods[key]
            for name, protocol, number in member.ports:
                if name == port.port and protocol == port.protocol and _usable(member.address):
                    found.setdefault(number, set()).add(member.address)
        return found

    def set_pod(self, key: PodKey, member: Member | None) -> Affected:
        """A pod is so now; None: it is gone, or has no network of its own."""
        old = self._pods.get(key)
        if old == member:
            return Affected()
        return self._retie(key, old, member)

    def set_namespace(self, name: str, namespace: Namespace | None) -> Affected:
        """A namespace is so now; None: it is gone."""
        old = self._namespaces.get(name)
        if old == namespace:
            return Affected()
        if namespace is None:
            del self._namespaces[name]
        else:
            self._namespaces[name] = namespace
        affected = Affected()
        if (old.logging if old else NO_LOGGING) != (namespace.logging if namespace else NO_LOGGING):
            affected.policies |= self._policies_in.get(name, set())
        if old is None or namespace is None or old.labels != namespace.labels:
            for key in list(self._pods_in.get(name, ())):
                affected.add(self._retie(key, self._pods[key], self._pods[key]))
        return affected

    def set_policy(self, key: PolicyKey, policy: NetworkPolicy | None) -> Affected:
        """A policy is so now; None: it is gone. Affected are peers that come into use, or that nobody uses any more."""
        old = self._policies.get(key)
        if old == policy:
            return Affected()
        before = old.peers if old else frozenset()
        after = policy.peers if policy else frozenset()
        if policy is None:
            del self._policies[key]
            _discard(self._policies_in, key[0], key)
        else:
            self._policies[key] = policy
            self._policies_in.setdefault(key[0], set()).add(key)
        for found, holds in (
            (self._asking, policy and any(rule.anyone and rule.named for rule in policy.egress or ())),
            (self._named_in, policy and policy.names_ingress_ports),
            (self._named_out, policy and policy.names_egress_ports),
        ):
            (found.add if holds else found.discard)(key)
        affected = Affected(policies={key})
        for peers in before - after:
            users = self._users[peers]
            users.discard(key)
            if not users:
                self._drop_peers(peers)
                affected.peers.add(peers)
        for peers in after - before:
            if peers not in self._users:
                self._add_peers(peers)
                affected.peers.add(peers)
            self._users[peers].add(key)
        self._reselect(key, old, policy)
        return affected

    def _reselect(self, key: PolicyKey, old: NetworkPolicy | None, policy: NetworkPolicy | None) -> None:
        if old is not None and policy is not None and old.pods == policy.pods:
            return
        before = self._selected.pop(key, set())
        after = set()
        if policy is not None:
            pods = self._pods_in.get(key[0], ())
            after = {pod for pod in pods if policy.pods.matches(dict(self._pods[pod].labels))}
            self._selected[key] = after
        for pod in before ^ after:
            ties = self._ties.get(pod, NO_TIES)
            self._ties[pod] = Ties(ties.policies ^ {key}, ties.peers)

    def _add_peers(self, peers: Peers) -> None:
        self._users[peers] = set()
        self._by_id[peers.id] = peers
        self._peers_in.setdefault(peers.namespace, set()).add(peers)
        pods = self._pods_in.get(peers.namespace, ()) if peers.namespace else self._pods
        found = {pod for pod in pods if peers.match(pod[0], self._labels_of(pod[0]), dict(self._pods[pod].labels))}
        self._members[peers] = found
        for pod in found:
            ties = self._ties.get(pod, NO_TIES)
            self._ties[pod] = Ties(ties.policies, ties.peers | {peers})

    def _drop_peers(self, peers: Peers) -> None:
        del self._users[peers]
        self._by_id.pop(peers.id, None)
        _discard(self._peers_in, peers.namespace, peers)
        for pod in self._members.pop(peers, ()):
            ties = self._ties[pod]
            self._ties[pod] = Ties(ties.policies, ties.peers - {peers})

    def _retie(self, key: PodKey, old: Member | None, new: Member | None) -> Affected:
        """Match a pod against everything that may select or name it."""
        before = self._ties.get(key, NO_TIES)
        after = NO_TIES
        if new is None:
            self._pods.pop(key, None)
            _discard(self._pods_in, key[0], key)
            self._ties.pop(key, None)
        else:
            self._pods[key] = new
            self._pods_in.setdefault(key[0], set()).add(key)
            labels, namespace_labels = dict(new.labels), self._labels_of(key[0])
            candidates = (*self._peers_in.get(key[0], ()), *self._peers_in.get("", ()))
            after = Ties(
                frozenset(
                    name for name in self._policies_in.get(key[0], ()) if self._policies[name].pods.matches(labels)
                ),
                frozenset(peers for peers in candidates if peers.match(key[0], namespace_labels, labels)),
            )
            self._ties[key] = after
        for name in before.policies ^ after.policies:
            (self._selected[name].add if name in after.policies else self._selected[name].discard)(key)
        for peers in before.peers ^ after.peers:
            (self._members[peers].add if peers in after.peers else self._members[peers].discard)(key)
        return self._affected(before, after, old, new)

    def _affected(self, before: Ties, after: Ties, old: Member | None, new: Member | None) -> Affected:
        affected = Affected(set(before.policies ^ after.policies), set(before.peers ^ after.peers))
        moved = (old.address if old else "") != (new.address if new else "")
        ports = (old.ports if old else ()) != (new.ports if new else ())
        if moved:
            affected.peers |= before.peers | after.peers
        if moved or ports:
            affected.policies |= before.policies & after.policies & self._named_in
            affected.policies |= self._asking
        named = (before.peers | after.peers) if moved or ports else (before.peers ^ after.peers)
        if self._named_out:
            for peers in named:
                affected.policies |= self._users[peers] & self._named_out
        return affected

    def _labels_of(self, namespace: str) -> dict[str, str] | None:
        found = self._namespaces.get(namespace)
        return dict(found.labels) if found else None

    def _addresses(self, pods: Iterable[PodKey]) -> Iterator[str]:
        for key in pods:
            address = self._pods[key].address
            if _usable(address):
                yield address


def _usable(address: str) -> bool:
    return bool(address) and ":" not in address


def _discard(sets: dict[str, set[PodKey]] | Mapping[str, set[Peers]], name: str, value: object) -> None:
    found = sets.get(name)
    if found is not None:
        found.discard(value)  # type: ignore[arg-type]
        if not found:
            del sets[name]  # type: ignore[union-attr]
