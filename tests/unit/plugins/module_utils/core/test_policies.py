# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""What NetworkPolicies mean: read from documents, turned into rows, and asked about packets."""

from __future__ import annotations

import re
from collections.abc import Iterable
from ipaddress import ip_address, ip_network
from typing import Any, NamedTuple

import pytest
from ansible_collections.ovn_k8s.cluster.plugins.module_utils.core.policies import (
    Logging,
    Namespace,
    namespace_from_api,
    policy_from_api,
)
from ansible_collections.ovn_k8s.cluster.plugins.module_utils.core.policy_index import Member, PolicyIndex
from ansible_collections.ovn_k8s.cluster.plugins.module_utils.core.policy_rows import (
    NODES_GROUP,
    peers_owner,
    peers_row,
    policy_group,
    policy_rows,
)
from ansible_collections.ovn_k8s.cluster.plugins.module_utils.core.rows import Row
from ansible_collections.ovn_k8s.cluster.plugins.module_utils.core.selectors import labels_from_api, selector_from_api

SELECTORS: list[tuple[dict[str, Any] | None, dict[str, str], bool]] = [
    (None, {}, True),
    ({}, {"a": "1"}, True),
    ({"matchLabels": {"a": "1"}}, {"a": "1", "b": "2"}, True),
    ({"matchLabels": {"a": "1"}}, {"a": "2"}, False),
    ({"matchLabels": {"a": "1"}}, {}, False),
    ({"matchLabels": {"a": "1", "b": "2"}}, {"a": "1"}, False),
    ({"matchLabels": {"a": ""}}, {"a": ""}, True),
    ({"matchLabels": {"a": ""}}, {}, False),
    ({"matchExpressions": [{"key": "a", "operator": "In", "values": ["1", "2"]}]}, {"a": "2"}, True),
    ({"matchExpressions": [{"key": "a", "operator": "In", "values": ["1", "2"]}]}, {"a": "3"}, False),
    ({"matchExpressions": [{"key": "a", "operator": "In", "values": ["1"]}]}, {}, False),
    ({"matchExpressions": [{"key": "a", "operator": "NotIn", "values": ["1"]}]}, {"a": "1"}, False),
    ({"matchExpressions": [{"key": "a", "operator": "NotIn", "values": ["1"]}]}, {"a": "2"}, True),
    ({"matchExpressions": [{"key": "a", "operator": "NotIn", "values": ["1"]}]}, {}, True),
    ({"matchExpressions": [{"key": "a", "operator": "Exists"}]}, {"a": ""}, True),
    ({"matchExpressions": [{"key": "a", "operator": "Exists"}]}, {"b": ""}, False),
    ({"matchExpressions": [{"key": "a", "operator": "DoesNotExist"}]}, {}, True),
    ({"matchExpressions": [{"key": "a", "operator": "DoesNotExist"}]}, {"a": "1"}, False),
    ({"matchLabels": {"a": "1"}, "matchExpressions": [{"key": "b", "operator": "Exists"}]}, {"a": "1"}, False),
    ({"matchLabels": {"a": "1"}, "matchExpressions": [{"key": "b", "operator": "Exists"}]}, {"a": "1", "b": "2"}, True),
]


@pytest.mark.parametrize(("document", "labels", "selected"), SELECTORS)
def test_selectors(document: dict[str, Any] | None, labels: dict[str, str], selected: bool) -> None:
    assert selector_from_api(document).matches(labels) is selected


def test_selectors_are_equal_in_whatever_order_they_were_written() -> None:
    first = {
        "matchExpressions": [{"key": "a", "operator": "In", "values": ["2", "1"]}, {"key": "b", "operator": "Exists"}]
    }
    second = {
        "matchExpressions": [{"key": "b", "operator": "Exists"}, {"key": "a", "operator": "In", "values": ["1", "2"]}]
    }
    assert selector_from_api(first) == selector_from_api(second)
    assert selector_from_api({"matchLabels": {"a": "1"}}) == selector_from_api(
        {"matchExpressions": [{"key": "a", "operator": "In", "values": ["1"]}]}
    )


def test_an_unknown_operator_is_not_guessed() -> None:
    with pytest.raises(ValueError, match="unknown operator 'Near'"):
        selector_from_api({"matchExpressions": [{"key": "a", "operator": "Near"}]})


# ---- a cluster of seven pods, and a reading of the rows that knows no more than OVN does

NAMESPACES = {"shop": {"team": "web"}, "bank": {"team": "money"}, "empty": {}}
PODS: dict[str, tuple[str, dict[str, str], str, tuple[tuple[str, str, int], ...]]] = {
    "front": ("shop", {"app": "front"}, "10.244.1.3", (("http", "TCP", 8080),)),
    "back": ("shop", {"app": "back"}, "10.244.1.4", (("http", "TCP", 9090), ("dns", "UDP", 53))),
    "plain": ("shop", {}, "10.244.1.5", ()),
    "vault": ("bank", {"app": "vault"}, "10.244.2.3", (("http", "TCP", 80),)),
    "teller": ("bank", {"app": "front"}, "10.244.2.4", ()),
    "alone": ("empty", {"app": "front"}, "10.244.2.5", ()),
}
OUTSIDE = {"world": "203.0.113.9", "office": "198.51.100.7", "node": "10.244.1.2", "far-node": "10.244.2.2"}
NODE_OF = {
    "front": "node",
    "back": "node",
    "plain": "node",
    "vault": "far-node",
    "teller": "far-node",
    "alone": "far-node",
}


class Packet(NamedTuple):
    """The first packet of a connection."""

    source: str
    target: str
    protocol: str = "tcp"
    port: int = 80


def policy(name: str, spec: dict[str, Any], namespace: str = "shop") -> dict[str, Any]:
    return {"metadata": {"namespace": namespace, "name": name}, "spec": spec}


def index_of(*documents: dict[str, Any]) -> PolicyIndex:
    index = PolicyIndex()
    for name, labels in NAMESPACES.items():
        index.set_namespace(name, Namespace(name, labels_from_api(labels)))
    for name, (namespace, labels, address, ports) in PODS.items():
        index.set_pod((namespace, name), Member(labels_from_api(labels), address, ports))
    for document in documents:
        parsed = policy_from_api(document)
        index.set_policy(parsed.key, parsed)
    return index


def rows_of(index: PolicyIndex) -> list[Row]:
    rows = [peers_row(peers, index.addresses(peers)) for peers in index.peers()]
    for key in index.policies():
        found = index.policy(key)
        assert found is not None
        ports = [name for _, name in index.selected(key)]
        rows += policy_rows(found, ports, index.resolver(found), index.logging(key[0]))
    return rows


class Ovn:
    """Decides about packets as OVN does with these rows, as far as policies use its language."""

    def __init__(self, rows: Iterable[Row]) -> None:
        rows = list(rows)
        self.groups = {row.name: set(row.columns["ports"]) for row in rows if row.table == "Port_Group"}
        self.sets = {row.name: row.columns["addresses"] for row in rows if row.table == "Address_Set"}
        self.acls = [row for row in rows if row.table == "ACL"]

    def passes(self, packet: Packet) -> bool:
        """Whether it gets from its source, out, and in, to its target."""
        return all(self._allowed(direction, packet) for direction in ("from-lport", "to-lport"))

    def _allowed(self, direction: str, packet: Packet) -> bool:
        matching = [
            row
            for row in self.acls
            if row.columns["direction"] == direction and self._true(row.columns["match"], packet)
        ]
        if not matching:
            return True
        top = max(row.columns["priority"] for row in matching)
        actions = {row.columns["action"] for row in matching if row.columns["priority"] == top}
        assert len(actions) == 1
        return actions == {"allow-related"}

    def _true(self, match: str, packet: Packet) -> bool:
        python = match.replace("&&", " and ").replace("||", " or ")
        python = re.sub(r"(\w+\.dst) == (\{[\d, ]+\}|\d+)(?![.\d/])", r"number('\1', '\2')", python)
        python = re.sub(r"(\d+) <= (\w+)\.dst <= (\d+)", r"between('\2', \1, \3)", python)
        python = re.sub(r"(ip[46])\.(src|dst) == (\{[^}]*\}|\S+?)(?=[\s)]|$)", r"address('\1', '\2', '\3')", python)
        python = re.sub(r"(inport|outport) == @(\w+)", r"member('\1', '\2')", python)
        python = re.sub(r"\b(tcp|udp|sctp|ip)\b(?!['.])", r"protocol('\1')", python)
        ends = {"src": packet.source, "dst": packet.target}
        known = {name: address for name, (_, _, address, _) in PODS.items()} | OUTSIDE

        def address(family: str, field: str, text: str) -> bool:
            one = ip_address(known[ends[field]])
            for word in text.strip("{}").split(", "):
                for cidr in self.sets[word[1:]] if word.startswith("$") else [word]:
                    if one in ip_network(cidr):
                        return True
            return False

        def member(field: str, group: str) -> bool:
            port = packet.source if field == "inport" else packet.target
            if group == NODES_GROUP:
                return port == NODE_OF.get(packet.target)
            return port in self.groups[group]

        scope = {
            "number": lambda name, text: (
                name == f"{packet.protocol}.dst" and packet.port in [int(word) for word in text.strip("{}").split(", ")]
            ),
            "between": lambda name, low, high: name == packet.protocol and low <= packet.port <= high,
            "address": address,
            "member": member,
            "protocol": lambda name: name in ("ip", packet.protocol),
        }
        return bool(eval(python, {"__builtins__": {}}, scope))


def peer(**given: Any) -> dict[str, Any]:
    return given


FRONT = {"matchLabels": {"app": "front"}}
BACK = {"matchLabels": {"app": "back"}}
MONEY = {"matchLabels": {"team": "money"}}
P = Packet

CASES: list[tuple[str, list[dict[str, Any]], list[Packet], list[Packet]]] = [
    ("no policy", [], [P("front", "back"), P("world", "back"), P("vault", "front")], []),
    (
        "default deny of ingress",
        [policy("deny", {"podSelector": {}})],
        [P("front", "vault"), P("front", "world"), P("node", "front")],
        [P("front", "back"), P("world", "back"), P("vault", "front"), P("far-node", "front")],
    ),
    (
        "default deny of egress leaves ingress open",
        [policy("deny", {"podSelector": {}, "policyTypes": ["Egress"]})],
        [P("world", "front"), P("vault", "front")],
        [P("front", "world"), P("front", "back"), P("plain", "vault", "udp", 53)],
    ),
    (
        "default deny of both",
        [policy("deny", {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]})],
        [P("vault", "teller"), P("node", "back")],
        [P("front", "back"), P("vault", "front"), P("front", "vault")],
    ),
    (
        "an empty rule allows all",
        [policy("open", {"podSelector": {}, "ingress": [{}]})],
        [P("world", "front"), P("vault", "front", "sctp", 9), P("front", "back")],
        [],
    ),
    (
        "an empty list of peers is all peers",
        [policy("open", {"podSelector": {}, "ingress": [{"from": [], "ports": [{"port": 80}]}]})],
        [P("world", "front")],
        [P("world", "front", "tcp", 81), P("world", "front", "udp", 80)],
    ),
    (
        "only the pods selected are isolated",
        [policy("back", {"podSelector": BACK})],
        [P("front", "plain"), P("back", "front")],
        [P("front", "back")],
    ),
    (
        "pods of the policy's namespace",
        [policy("back", {"podSelector": BACK, "ingress": [{"from": [peer(podSelector=FRONT)]}]})],
        [P("front", "back"), P("front", "back", "udp", 53)],
        [P("plain", "back"), P("teller", "back"), P("alone", "back"), P("world", "back")],
    ),
    (
        "all pods of the policy's namespace",
        [policy("back", {"podSelector": BACK, "ingress": [{"from": [peer(podSelector={})]}]})],
        [P("front", "back"), P("plain", "back")],
        [P("teller", "back"), P("world", "back")],
    ),
    (
        "all pods of namespaces",
        [policy("back", {"podSelector": BACK, "ingress": [{"from": [peer(namespaceSelector=MONEY)]}]})],
        [P("vault", "back"), P("teller", "back")],
        [P("front", "back"), P("alone", "back"), P("world", "back")],
    ),
    (
        "all pods of all namespaces, but nobody else",
        [policy("back", {"podSelector": BACK, "ingress": [{"from": [peer(namespaceSelector={})]}]})],
        [P("vault", "back"), P("front", "back"), P("alone", "back")],
        [P("world", "back"), P("far-node", "back")],
    ),
    (
        "pods of namespaces: both must match",
        [policy("b", {"podSelector": BACK, "ingress": [{"from": [peer(namespaceSelector=MONEY, podSelector=FRONT)]}]})],
        [P("teller", "back")],
        [P("vault", "back"), P("front", "back"), P("alone", "back")],
    ),
    (
        "two peers: either will do",
        [
            policy(
                "b",
                {"podSelector": BACK, "ingress": [{"from": [peer(namespaceSelector=MONEY), peer(podSelector=FRONT)]}]},
            )
        ],
        [P("teller", "back"), P("vault", "back"), P("front", "back")],
        [P("alone", "back"), P("plain", "back")],
    ),
    (
        "namespaces by expression",
        [
            policy(
                "b",
                {
                    "podSelector": BACK,
                    "ingress": [
                        {
                            "from": [
                                peer(
                                    namespaceSelector={
                                        "matchExpressions": [{"key": "team", "operator": "DoesNotExist"}]
                                    }
                                )
                            ]
                        }
                    ],
                },
            )
        ],
        [P("alone", "back")],
        [P("vault", "back"), P("front", "back")],
    ),
    (
        "peers that select nobody let nobody in",
        [policy("b", {"podSelector": {}, "ingress": [{"from": [peer(podSelector={"matchLabels": {"app": "none"}})]}]})],
        [P("node", "back")],
        [P("front", "back"), P("world", "back")],
    ),
    (
        "a block",
        [policy("b", {"podSelector": BACK, "ingress": [{"from": [peer(ipBlock={"cidr": "203.0.113.0/24"})]}]})],
        [P("world", "back")],
        [P("office", "back"), P("front", "back")],
    ),
    (
        "a block with exceptions",
        [
            policy(
                "b",
                {
                    "podSelector": BACK,
                    "ingress": [
                        {"from": [peer(ipBlock={"cidr": "0.0.0.0/0", "except": ["203.0.113.0/24", "10.0.0.0/8"]})]}
                    ],
                },
            )
        ],
        [P("office", "back")],
        [P("world", "back"), P("front", "back"), P("far-node", "back")],
    ),
    (
        "an exception of one block is none of another",
        [
            policy(
                "b",
                {
                    "podSelector": BACK,
                    "ingress": [
                        {
                            "from": [
                                peer(ipBlock={"cidr": "203.0.113.0/24", "except": ["203.0.113.9/32"]}),
                                peer(ipBlock={"cidr": "203.0.113.8/29"}),
                            ]
                        }
                    ],
                },
            )
        ],
        [P("world", "back")],
        [P("office", "back")],
    ),
    (
        "a block that is excepted as a whole",
        [
            policy(
                "b",
                {
                    "podSelector": BACK,
                    "ingress": [{"from": [peer(ipBlock={"cidr": "203.0.113.0/24", "except": ["203.0.113.0/24"]})]}],
                },
            )
        ],
        [],
        [P("world", "back"), P("office", "back")],
    ),
    (
        "a block of IPv6 lets no IPv4 in",
        [policy("b", {"podSelector": BACK, "ingress": [{"from": [peer(ipBlock={"cidr": "2001:db8::/32"})]}]})],
        [],
        [P("world", "back")],
    ),
    (
        "ports by number and protocol",
        [
            policy(
                "b",
                {
                    "podSelector": BACK,
                    "ingress": [
                        {"ports": [{"port": 80}, {"port": 443, "protocol": "TCP"}, {"port": 53, "protocol": "UDP"}]}
                    ],
                },
            )
        ],
        [P("world", "back", "tcp", 80), P("world", "back", "tcp", 443), P("world", "back", "udp", 53)],
        [P("world", "back", "tcp", 53), P("world", "back", "udp", 80), P("world", "back", "sctp", 80)],
    ),
    (
        "SCTP",
        [policy("b", {"podSelector": BACK, "ingress": [{"ports": [{"port": 9, "protocol": "SCTP"}]}]})],
        [P("world", "back", "sctp", 9)],
        [P("world", "back", "tcp", 9), P("world", "back", "sctp", 10)],
    ),
    (
        "a protocol without port",
        [policy("b", {"podSelector": BACK, "ingress": [{"ports": [{"protocol": "UDP"}]}]})],
        [P("world", "back", "udp", 1), P("world", "back", "udp", 65535)],
        [P("world", "back", "tcp", 1)],
    ),
    (
        "a range of ports beside a single one",
        [policy("b", {"podSelector": BACK, "ingress": [{"ports": [{"port": 8000, "endPort": 8010}, {"port": 80}]}]})],
        [P("world", "back", "tcp", port) for port in (80, 8000, 8005, 8010)],
        [P("world", "back", "tcp", port) for port in (79, 81, 7999, 8011)] + [P("world", "back", "udp", 8005)],
    ),
    (
        "a range of one port",
        [policy("b", {"podSelector": BACK, "ingress": [{"ports": [{"port": 80, "endPort": 80}]}]})],
        [P("world", "back", "tcp", 80)],
        [P("world", "back", "tcp", 81)],
    ),
    (
        "peers and ports of one rule: both must match",
        [policy("b", {"podSelector": BACK, "ingress": [{"from": [peer(podSelector=FRONT)], "ports": [{"port": 80}]}]})],
        [P("front", "back", "tcp", 80)],
        [P("front", "back", "tcp", 81), P("plain", "back", "tcp", 80)],
    ),
    (
        "rules do not lend each other their ports",
        [
            policy(
                "b",
                {
                    "podSelector": BACK,
                    "ingress": [
                        {"from": [peer(podSelector=FRONT)], "ports": [{"port": 80}]},
                        {"from": [peer(namespaceSelector=MONEY)], "ports": [{"port": 443}]},
                    ],
                },
            )
        ],
        [P("front", "back", "tcp", 80), P("vault", "back", "tcp", 443)],
        [P("front", "back", "tcp", 443), P("vault", "back", "tcp", 80)],
    ),
    (
        "a named port is another number in each pod",
        [policy("b", {"podSelector": {}, "ingress": [{"ports": [{"port": "http"}]}]})],
        [P("world", "front", "tcp", 8080), P("world", "back", "tcp", 9090)],
        [P("world", "front", "tcp", 9090), P("world", "back", "tcp", 8080), P("world", "plain", "tcp", 8080)],
    ),
    (
        "a named port has a protocol",
        [
            policy(
                "b", {"podSelector": {}, "ingress": [{"ports": [{"port": "dns", "protocol": "UDP"}, {"port": "dns"}]}]}
            )
        ],
        [P("world", "back", "udp", 53)],
        [P("world", "back", "tcp", 53)],
    ),
    (
        "a named port that nobody has",
        [policy("b", {"podSelector": {}, "ingress": [{"ports": [{"port": "none"}]}]})],
        [],
        [P("world", "back", "tcp", 80), P("world", "front", "tcp", 8080)],
    ),
    (
        "a named port from certain peers, beside a number",
        [
            policy(
                "b",
                {
                    "podSelector": BACK,
                    "ingress": [{"from": [peer(podSelector=FRONT)], "ports": [{"port": "http"}, {"port": 22}]}],
                },
            )
        ],
        [P("front", "back", "tcp", 9090), P("front", "back", "tcp", 22)],
        [P("plain", "back", "tcp", 9090), P("plain", "back", "tcp", 22), P("front", "back", "tcp", 80)],
    ),
    (
        "egress to pods, and no ingress asked",
        [policy("f", {"podSelector": FRONT, "policyTypes": ["Egress"], "egress": [{"to": [peer(podSelector=BACK)]}]})],
        [P("front", "back"), P("plain", "vault"), P("world", "front")],
        [P("front", "plain"), P("front", "world"), P("front", "vault")],
    ),
    (
        "egress to a block, by range",
        [
            policy(
                "f",
                {
                    "podSelector": FRONT,
                    "policyTypes": ["Egress"],
                    "egress": [
                        {"to": [peer(ipBlock={"cidr": "203.0.113.0/24"})], "ports": [{"port": 1, "endPort": 100}]}
                    ],
                },
            )
        ],
        [P("front", "world", "tcp", 100)],
        [P("front", "world", "tcp", 101), P("front", "office", "tcp", 100)],
    ),
    (
        "a named port on the way out is that of the peer",
        [
            policy(
                "f",
                {
                    "podSelector": FRONT,
                    "policyTypes": ["Egress"],
                    "egress": [
                        {"to": [peer(podSelector={}), peer(namespaceSelector=MONEY)], "ports": [{"port": "http"}]}
                    ],
                },
            )
        ],
        [P("front", "back", "tcp", 9090), P("front", "vault", "tcp", 80)],
        [P("front", "back", "tcp", 80), P("front", "vault", "tcp", 9090), P("front", "world", "tcp", 80)],
    ),
    (
        "a named port on the way out to anyone is that of any pod",
        [policy("f", {"podSelector": FRONT, "policyTypes": ["Egress"], "egress": [{"ports": [{"port": "http"}]}]})],
        [P("front", "back", "tcp", 9090), P("front", "vault", "tcp", 80)],
        [P("front", "world", "tcp", 80), P("front", "teller", "tcp", 80)],
    ),
    (
        "without policyTypes rules for egress are about egress, and ingress is closed",
        [policy("f", {"podSelector": FRONT, "egress": [{}]})],
        [P("front", "world")],
        [P("world", "front")],
    ),
    (
        "without policyTypes and rules for egress nothing is said about egress",
        [policy("f", {"podSelector": FRONT, "egress": []})],
        [P("front", "world")],
        [P("world", "front")],
    ),
    (
        "several policies on one pod: what any of them allows",
        [
            policy("deny", {"podSelector": {}}),
            policy("a", {"podSelector": BACK, "ingress": [{"from": [peer(podSelector=FRONT)]}]}),
            policy("b", {"podSelector": BACK, "ingress": [{"from": [peer(namespaceSelector=MONEY)]}]}),
        ],
        [P("front", "back"), P("vault", "back")],
        [P("plain", "back"), P("front", "plain"), P("world", "back")],
    ),
    (
        "both ends must allow",
        [
            policy(
                "out", {"podSelector": FRONT, "policyTypes": ["Egress"], "egress": [{"to": [peer(podSelector={})]}]}
            ),
            policy("in", {"podSelector": BACK, "ingress": [{"from": [peer(namespaceSelector=MONEY)]}]}),
        ],
        [P("front", "plain"), P("vault", "back")],
        [P("front", "back"), P("front", "vault")],
    ),
    (
        "policies of other namespaces do not count",
        [policy("deny", {"podSelector": {}}, namespace="bank")],
        [P("world", "front"), P("front", "back")],
        [P("world", "vault"), P("front", "teller")],
    ),
]


@pytest.mark.parametrize(
    ("documents", "pass_through", "blocked"), [case[1:] for case in CASES], ids=[c[0] for c in CASES]
)
def test_what_policies_let_through(
    documents: list[dict[str, Any]], pass_through: list[Packet], blocked: list[Packet]
) -> None:
    ovn = Ovn(rows_of(index_of(*documents)))
    assert [packet for packet in pass_through if not ovn.passes(packet)] == []
    assert [packet for packet in blocked if ovn.passes(packet)] == []


# ---- rows


def test_rows_are_the_same_in_whatever_order_things_were_written() -> None:
    one = policy(
        "b",
        {
            "podSelector": BACK,
            "ingress": [
                {
                    "from": [
                        peer(podSelector=FRONT),
                        peer(ipBlock={"cidr": "10.0.0.0/8"}),
                        peer(namespaceSelector=MONEY),
                    ],
                    "ports": [{"port": 443}, {"port": 80}, {"port": "http"}],
                }
            ],
        },
    )
    other = policy(
        "b",
        {
            "podSelector": BACK,
            "ingress": [
                {
                    "from": [
                        peer(namespaceSelector=MONEY),
                        peer(ipBlock={"cidr": "10.1.2.3/8"}),
                        peer(podSelector=FRONT),
                    ],
                    "ports": [{"port": "http", "protocol": "TCP"}, {"port": 80}, {"port": 443}, {"port": 80}],
                }
            ],
        },
    )
    assert policy_from_api(one) == policy_from_api(other)
    assert rows_of(index_of(one)) == rows_of(index_of(other))


def test_names_are_what_ovn_takes() -> None:
    namespace, name = "n" * 63, f"{'a' * 250}.b"
    document = policy(name, {"podSelector": {}, "ingress": [{"ports": [{"port": 65535}]}], "egress": [{}]}, namespace)
    parsed = policy_from_api(document)
    rows = policy_rows(parsed, [], lambda *_: {65535: ["10.0.0.1"]})
    for row in rows:
        if row.table == "ACL":
            assert len(row.name) <= 63
        else:
            assert re.fullmatch(r"[a-zA-Z_.][a-zA-Z_.0-9]*", row.name)
        assert row.owner == f"policy/{namespace}/{name}"
    assert len({(row.table, row.name) for row in rows}) == len(rows)
    other = policy_from_api(policy(f"{name}c", {"podSelector": {}}, namespace))
    assert policy_group(*other.key) != policy_group(*parsed.key)


def test_peers_are_shared_between_policies_that_name_the_same() -> None:
    rule = {"podSelector": BACK, "ingress": [{"from": [peer(namespaceSelector=MONEY)]}]}
    index = index_of(policy("a", rule), policy("b", rule), policy("c", rule, namespace="bank"))
    (shared,) = index.peers()
    assert peers_owner(shared).startswith("peers/_/")
    assert index.addresses(shared) == {"10.244.2.3", "10.244.2.4"}


def test_egress_is_judged_after_services_and_ingress_is_not() -> None:
    rows = rows_of(index_of(policy("b", {"podSelector": {}, "ingress": [{}], "egress": [{}]})))
    for row in rows:
        if row.table == "ACL":
            after = row.columns["options"].get("apply-after-lb") == "true"
            assert after == (row.columns["direction"] == "from-lport")


LOGGINGS = [
    ('{"deny": "alert", "allow": "notice"}', Logging("alert", "notice")),
    ('{"deny": "alert"}', Logging("alert", "")),
    ('{"deny": "loud"}', Logging()),
    ("yes", Logging()),
    ("[]", Logging()),
    ('{"deny": ["alert"]}', Logging()),
    (None, Logging()),
]


@pytest.mark.parametrize(("annotation", "wanted"), LOGGINGS)
def test_logging(annotation: str | None, wanted: Logging) -> None:
    annotations = {"ovn.ovn-k8s.io/acl-logging": annotation} if annotation else None
    namespace = namespace_from_api({"metadata": {"name": "shop", "annotations": annotations}})
    assert namespace.logging == wanted
    index = index_of(policy("b", {"podSelector": {}, "ingress": [{}]}))
    index.set_namespace("shop", namespace)
    severities = {row.columns["action"]: row.columns["severity"] for row in rows_of(index) if row.table == "ACL"}
    assert severities == {"drop": wanted.deny or None, "allow-related": wanted.allow or None}


# ---- what a change affects


def member(**change: Any) -> Member:
    base = {"labels": {"app": "back"}, "address": "10.244.1.4", "ports": (("http", "TCP", 9090),)}
    given = {**base, **change}
    return Member(labels_from_api(given["labels"]), given["address"], given["ports"])


POLICIES = (
    policy("all", {"podSelector": {}}),
    policy("back", {"podSelector": BACK, "ingress": [{"from": [peer(podSelector=FRONT)]}]}),
    policy("front", {"podSelector": FRONT, "ingress": [{"from": [peer(podSelector=BACK)]}]}),
    policy("named", {"podSelector": BACK, "ingress": [{"ports": [{"port": "http"}]}]}),
    policy("out", {"podSelector": FRONT, "egress": [{"to": [peer(podSelector=BACK)], "ports": [{"port": "http"}]}]}),
    policy("bank", {"podSelector": {}}, namespace="bank"),
)
CHANGES: list[tuple[str, Member | None, set[str], set[str]]] = [
    ("nothing", member(), set(), set()),
    ("a label that nobody asks for", member(labels={"app": "back", "tier": "1"}), set(), set()),
    ("a label", member(labels={"app": "front"}), {"back", "named", "front", "out"}, {"app In front", "app In back"}),
    ("all labels", member(labels={}), {"back", "named", "out"}, {"app In back"}),
    ("the address", member(address="10.244.1.99"), {"named", "out"}, {"app In back"}),
    ("a port", member(ports=()), {"named", "out"}, set()),
    ("gone", None, {"all", "back", "named", "out"}, {"app In back"}),
]


@pytest.mark.parametrize(
    ("new", "policies", "peers"), [case[1:] for case in CHANGES], ids=[case[0] for case in CHANGES]
)
def test_a_pod_s_change_affects_no_more_than_it_must(new: Member | None, policies: set[str], peers: set[str]) -> None:
    index = index_of(*POLICIES)
    index.set_pod(("shop", "back"), member())
    affected = index.set_pod(("shop", "back"), new)
    assert {name for _, name in affected.policies} == policies
    assert {str(one.pods) for one in affected.peers} == peers
    fresh = PolicyIndex()
    for name, labels in NAMESPACES.items():
        fresh.set_namespace(name, Namespace(name, labels_from_api(labels)))
    for document in POLICIES:
        fresh.set_policy(policy_from_api(document).key, policy_from_api(document))
    for name, (namespace, labels, address, ports) in PODS.items():
        if name != "back":
            fresh.set_pod((namespace, name), Member(labels_from_api(labels), address, ports))
    fresh.set_pod(("shop", "back"), new)
    assert _sorted(rows_of(index)) == _sorted(rows_of(fresh))


def test_a_namespace_s_labels_decide_about_peers_at_once() -> None:
    index = index_of(policy("b", {"podSelector": BACK, "ingress": [{"from": [peer(namespaceSelector=MONEY)]}]}))
    (money,) = index.peers()
    affected = index.set_namespace("bank", Namespace("bank", labels_from_api({"team": "art"})))
    assert affected.peers == {money}
    assert index.addresses(money) == set()
    affected = index.set_namespace("empty", Namespace("empty", labels_from_api({"team": "money"})))
    assert affected.peers == {money}
    assert index.addresses(money) == {"10.244.2.5"}
    assert index.set_namespace("empty", None).peers == {money}
    assert index.addresses(money) == set()


def test_peers_come_and_go_with_the_policies_that_name_them() -> None:
    index = index_of()
    spec = {"podSelector": BACK, "ingress": [{"from": [peer(namespaceSelector=MONEY)]}]}
    first, second = policy_from_api(policy("a", spec)), policy_from_api(policy("b", spec))
    (money,) = index.set_policy(first.key, first).peers
    assert index.set_policy(second.key, second).peers == set()
    assert index.set_policy(first.key, None).peers == set()
    assert index.peers_by_id(money.id) == money
    assert index.set_policy(second.key, None).peers == {money}
    assert index.peers_by_id(money.id) is None
    assert index.policies_of(("shop", "back")) == frozenset()


def _sorted(rows: list[Row]) -> list[Row]:
    return sorted(rows, key=lambda row: (row.table, row.name))


def of_blocks(*blocks: dict[str, Any]) -> dict[str, Any]:
    rules = [{"from": [{"ipBlock": block}]} for block in blocks]
    return {"metadata": {"namespace": "shop", "name": "blocks"}, "spec": {"podSelector": {}, "ingress": rules}}


def test_networks_are_read_as_kubernetes_has_accepted_them() -> None:
    policy = policy_from_api(of_blocks({"cidr": "010.01.0.3/16", "except": ["10.1.000.0/24"]}))
    assert policy.ingress
    assert policy.ingress[0].blocks == (("10.1.0.0/16", ("10.1.0.0/24",)),)


def test_a_rule_that_cannot_be_read_lets_nobody_through_and_the_policy_isolates() -> None:
    policy = policy_from_api(of_blocks({"cidr": "10.0.0.0/8"}, {"cidr": "nowhere"}))
    assert len(policy.unread) == 1
    assert "rule 2 (from) cannot be read" in policy.unread[0]
    rows = policy_rows(policy, [], lambda side, rule, port: {})
    actions = sorted(
        (row.columns["action"], row.columns["match"].partition(" && ")[2]) for row in rows if row.table == "ACL"
    )
    assert ("drop", "ip") in actions
    assert ("allow-related", "ip4.src == 10.0.0.0/8") in actions
    assert len(actions) == 4  # and those of the node and of the pod itself
