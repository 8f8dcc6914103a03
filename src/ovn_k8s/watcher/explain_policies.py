# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""Which NetworkPolicies select a pod, what they let through, and whether OVN enforces them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from ovn_k8s.core.database import Database, StoredRow
from ovn_k8s.core.pods import Pod
from ovn_k8s.core.policies import NetworkPolicy, Peers, PolicyPort, Rule, policy_from_api
from ovn_k8s.core.policy_rows import OWNER_PREFIX, peers_set, policy_group

from .explanation import Explanation

SIDES = (("in", "ingress", "to-lport"), ("out", "egress", "from-lport"))


def explain_policies(
    story: Explanation, documents: Iterable[Mapping[str, Any]], pod: Pod, port: StoredRow, database: Database
) -> None:
    """`documents`: the policies of the pod's namespace."""
    selecting = [policy for policy in map(policy_from_api, documents) if policy.pods.matches(dict(pod.labels))]
    for policy in sorted(selecting, key=lambda one: one.name):
        _policy(story, policy, port, database)
    for side, attribute, _ in SIDES:
        if not any(getattr(policy, attribute) is not None for policy in selecting):
            story.say(f"policies: {side}: no policy isolates it, everything is let through")
    expected = {policy_group(*policy.key) for policy in selecting}
    groups = (row for row in database.rows("Port_Group") if port.uuid in row.columns["ports"])
    for row in groups:
        if row.owner.startswith(OWNER_PREFIX) and row.columns["name"] not in expected:
            story.fault(f"policies: it is still in the group of {row.owner}, which does not select it")


def _policy(story: Explanation, policy: NetworkPolicy, port: StoredRow, database: Database) -> None:
    title = f"policy {policy.name}"
    for unread in policy.unread:
        story.fault(f"{title}: {unread}")
    group = database.find("Port_Group", policy_group(*policy.key))
    if group is None:
        story.fault(f"{title}: selects it, and is not in OVN yet")
        return
    if port.uuid not in group.columns["ports"]:
        story.fault(f"{title}: selects it, but its port is not in group {group.columns['name']}: nothing holds it back")
        return
    rows = [row for uuid in group.columns["acls"] if (row := database.get("ACL", uuid)) is not None]
    dropped = {row.columns["direction"] for row in rows if row.columns["action"] == "drop"}
    for side, attribute, direction in SIDES:
        rules: tuple[Rule, ...] | None = getattr(policy, attribute)
        if rules is None:
            continue
        if direction not in dropped:
            story.fault(f"{title}: {side}: the ACL that drops the rest is not in OVN")
        for text in _rules(rules, side, database) or ["nothing"]:
            story.say(f"{title}: {side}: {text}")


def _rules(rules: Iterable[Rule], side: str, database: Database) -> list[str]:
    word = "from" if side == "in" else "to"
    return [f"{_ports(rule.ports)} {word} {' or '.join(_others(rule, database)) or 'nobody'}" for rule in rules]


def _ports(ports: Iterable[PolicyPort]) -> str:
    return ", ".join(_port(port) for port in ports) or "all ports"


def _port(port: PolicyPort) -> str:
    if port.port is None:
        return port.protocol
    return f"{port.protocol} {port.port}" + (f"-{port.end}" if port.end is not None else "")


def _others(rule: Rule, database: Database) -> Iterator[str]:
    if rule.anyone:
        yield "anyone"
    for peers in rule.peers:
        row = database.find("Address_Set", peers_set(peers))
        count = "not in OVN yet" if row is None else f"addresses: {len(row.columns['addresses'])}"
        yield f"{_peers(peers)} ({count})"
    for block in rule.blocks:
        yield block.cidr + (f" except {', '.join(block.excepts)}" if block.excepts else "")


def _peers(peers: Peers) -> str:
    pods = f"pods with {peers.pods}" if str(peers.pods) else "all pods"
    if peers.namespace:
        return f"{pods} of its namespace"
    return f"{pods} of namespaces with {peers.namespaces}" if str(peers.namespaces) else f"{pods} of all namespaces"
