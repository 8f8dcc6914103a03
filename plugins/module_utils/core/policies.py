# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""NetworkPolicies (networking.k8s.io/v1): what they say, cut down to what decides about packets."""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from ipaddress import ip_network
from typing import Any, NamedTuple

from .selectors import EVERYTHING, Labels, Selector, labels_from_api, selector_from_api

LOGGING_ANNOTATION = "ovn.ovn-k8s.io/acl-logging"
"""Namespace annotation: {"deny": severity, "allow": severity}, either may be left out. Severities are those of OVN."""

EGRESS_ANNOTATIONS = ("ovn.ovn-k8s.io/egress-gateway", "ovn.ovn-k8s.io/egress-ip")
"""Namespace annotations: the gateway by which its pods leave the cluster, and the IPv4 address that they leave with."""

SEVERITIES = ("alert", "warning", "notice", "info", "debug")


@dataclass(frozen=True, slots=True, eq=False)
class Peers:
    """Pods that a rule names: of one namespace, or of those that `namespaces` selects when `namespace` is empty.

    `id` is short, letters and digits, and the same for the same peers wherever they are named; they are equal by it.
    """

    namespace: str
    namespaces: Selector
    pods: Selector
    id: str = field(init=False)

    def __post_init__(self) -> None:
        identity = digest("peers", self.namespace, str(self.namespaces), str(self.pods))
        object.__setattr__(self, "id", sys.intern(identity))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Peers) and self.id == other.id

    def __hash__(self) -> int:
        return hash(self.id)

    def match(self, namespace: str, namespace_labels: Mapping[str, str] | None, labels: Mapping[str, str]) -> bool:
        """Whether a pod is one of them; `namespace_labels` None: the namespace is not known (yet)."""
        if self.namespace:
            return self.namespace == namespace and self.pods.matches(labels)
        return namespace_labels is not None and self.namespaces.matches(namespace_labels) and self.pods.matches(labels)


class Block(NamedTuple):
    """A network, and the networks within it that do not count; in CIDR notation."""

    cidr: str
    excepts: tuple[str, ...] = ()


class PolicyPort(NamedTuple):
    """A port of a rule: `port` is a number, a container port's name, or None for all; `end` closes a range."""

    protocol: str
    port: int | str | None = None
    end: int | None = None

    @property
    def named(self) -> bool:
        """Whether each pod has to be asked which number it is."""
        return isinstance(self.port, str)


@dataclass(frozen=True, slots=True)
class Rule:
    """What is let through: `anyone`, or any of the peers and blocks; on any of the ports, on all if there are none.

    Neither anyone nor peers nor blocks: nobody.
    """

    anyone: bool = True
    peers: tuple[Peers, ...] = ()
    blocks: tuple[Block, ...] = ()
    ports: tuple[PolicyPort, ...] = ()

    @property
    def named(self) -> bool:
        """Whether a port is given by name."""
        return any(port.named for port in self.ports)


@dataclass(frozen=True, slots=True)
class NetworkPolicy:
    """A policy for the pods of its namespace that it selects. Rules None: it says nothing about that direction.

    `unread`: which of its rules cannot be read, and why. They let nobody through.
    """

    namespace: str
    name: str
    pods: Selector = EVERYTHING
    ingress: tuple[Rule, ...] | None = None
    egress: tuple[Rule, ...] | None = None
    unread: tuple[str, ...] = ()

    @property
    def key(self) -> tuple[str, str]:
        """Namespace and name."""
        return self.namespace, self.name

    @property
    def peers(self) -> frozenset[Peers]:
        """All peers that it names."""
        return frozenset(peers for rule in (*(self.ingress or ()), *(self.egress or ())) for peers in rule.peers)

    @property
    def names_ingress_ports(self) -> bool:
        """Whether it depends on which ports the selected pods have."""
        return any(rule.named for rule in self.ingress or ())

    @property
    def names_egress_ports(self) -> bool:
        """Whether it depends on which ports other pods have."""
        return any(rule.named for rule in self.egress or ())


@dataclass(frozen=True, slots=True)
class Logging:
    """With which severity dropped and allowed connections are logged; empty: not at all."""

    deny: str = ""
    allow: str = ""


NO_LOGGING = Logging()


@dataclass(frozen=True, slots=True)
class Namespace:
    """A Namespace cut down to what the network needs.

    `egress` is the gateway and the address that its pods are to leave with, either of which may be an empty string; it
    is empty where neither is asked for.
    """

    name: str
    labels: Labels = ()
    logging: Logging = NO_LOGGING
    egress: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        """Its name."""
        return self.name


def namespace_from_api(document: Mapping[str, Any]) -> Namespace:
    """Read a v1 Namespace. An annotation that cannot be read logs nothing."""
    metadata = document["metadata"]
    annotations = metadata.get("annotations") or {}
    egress = tuple(annotations.get(name, "").strip() for name in EGRESS_ANNOTATIONS)
    return Namespace(
        name=sys.intern(metadata["name"]),
        labels=labels_from_api(metadata.get("labels")),
        logging=_logging(annotations.get(LOGGING_ANNOTATION)),
        egress=egress if any(egress) else (),
    )


def _logging(annotation: str | None) -> Logging:
    try:
        wanted = json.loads(annotation or "{}")
    except ValueError:
        return NO_LOGGING
    if not isinstance(wanted, dict):
        return NO_LOGGING
    deny, allow = (wanted.get(name) for name in ("deny", "allow"))
    return Logging(deny if deny in SEVERITIES else "", allow if allow in SEVERITIES else "")


def policy_from_api(document: Mapping[str, Any]) -> NetworkPolicy:
    """Read a networking.k8s.io/v1 NetworkPolicy.

    Without policyTypes a policy is about ingress, and about egress as well when it has rules for that. A policy of
    which a rule cannot be read isolates all the same.
    """
    metadata = document["metadata"]
    namespace = sys.intern(metadata["namespace"])
    spec = document.get("spec") or {}
    types = spec.get("policyTypes") or (["Ingress", "Egress"] if spec.get("egress") else ["Ingress"])
    unread: list[str] = []
    ingress = tuple(_rules(spec.get("ingress"), "from", namespace, unread)) if "Ingress" in types else None
    egress = tuple(_rules(spec.get("egress"), "to", namespace, unread)) if "Egress" in types else None
    pods = selector_from_api(spec.get("podSelector"))
    return NetworkPolicy(namespace, metadata["name"], pods, ingress, egress, tuple(unread))


def _rules(documents: Any, side: str, namespace: str, unread: list[str]) -> Iterator[Rule]:
    for number, document in enumerate(documents or (), 1):
        try:
            yield _rule(document, side, namespace)
        except (ValueError, TypeError, KeyError) as error:
            unread.append(f"rule {number} ({side}) cannot be read and lets nobody through: {error}")
            yield Rule(anyone=False)


def _rule(document: Mapping[str, Any], side: str, namespace: str) -> Rule:
    peers, blocks = set(), set()
    for peer in document.get(side) or ():
        block = peer.get("ipBlock")
        if block:
            excepts = {_network(one) for one in block.get("except") or ()}
            blocks.add(Block(_network(block["cidr"]), tuple(sorted(excepts))))
            continue
        selects_namespaces = peer.get("namespaceSelector") is not None
        peers.add(
            Peers(
                namespace="" if selects_namespaces else namespace,
                namespaces=selector_from_api(peer.get("namespaceSelector")),
                pods=selector_from_api(peer.get("podSelector")),
            )
        )
    return Rule(
        anyone=not document.get(side),
        peers=tuple(sorted(peers, key=lambda one: one.id)),
        blocks=tuple(sorted(blocks)),
        ports=tuple(sorted({_port(port) for port in document.get("ports") or ()}, key=str)),
    )


def _network(text: str) -> str:
    """The network as such: Kubernetes accepts host bits (10.0.0.1/8) and, of old, zeros before decimal numbers."""
    address, slash, prefix = text.partition("/")
    if ":" not in address:
        address = ".".join(part.lstrip("0") or "0" for part in address.split("."))
    return str(ip_network(f"{address}{slash}{prefix}", strict=False))


def _port(document: Mapping[str, Any]) -> PolicyPort:
    port, end = document.get("port"), document.get("endPort")
    return PolicyPort(document.get("protocol") or "TCP", port, int(end) if end is not None else None)


def digest(*parts: str) -> str:
    """16 hexadecimal digits that stand for these parts."""
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]
