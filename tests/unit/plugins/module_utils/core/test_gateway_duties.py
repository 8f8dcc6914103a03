# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""Which of several gateways has the addresses that are no gateway's own."""

from __future__ import annotations

from ipaddress import IPv4Network

import pytest
from ansible_collections.ovn_k8s.cluster.plugins.module_utils.core.gateway_duties import holders, order

NET, OTHER = IPv4Network("192.0.2.0/24"), IPv4Network("198.51.100.0/24")
HALF, HOST = IPv4Network("192.0.2.0/25"), IPv4Network("192.0.2.9/32")


@pytest.mark.parametrize(
    ("alive", "present", "ranked"),
    [
        ({}, "", "abc"),  # nothing known, nobody has any: by name
        ({}, "b", "bac"),  # nothing known: who has them keeps them
        ({"a": True, "c": True}, "b", "bac"),  # not known is not dead
        ({"a": True, "b": False, "c": True}, "b", "acb"),
        ({"a": None, "b": False, "c": True}, "b", "cab"),  # one that answers rather than one that nobody has heard yet
        ({"a": True, "b": True, "c": True}, "b", "bac"),  # a is back, and gets nothing back
        ({"a": False, "b": False, "c": False}, "b", "bac"),  # nobody to go to
        ({"a": True, "b": True, "c": True}, "bc", "bca"),
    ],
)
def test_order(alive: dict[str, bool | None], present: str, ranked: str) -> None:
    assert "".join(order(dict.fromkeys("cab", NET), alive.get, present)) == ranked


@pytest.mark.parametrize(
    ("networks", "ranked", "having"),
    [
        ({"a": NET, "b": NET}, "ba", "b"),
        ({"a": NET, "b": OTHER}, "ba", "ab"),
        ({"a": NET, "b": HALF}, "ab", "a"),
        ({"a": NET, "b": HALF}, "ba", "ab"),  # a has the other half
        ({"a": HOST, "b": NET}, "ab", "ab"),
        ({}, "", ""),
    ],
)
def test_holders(networks: dict[str, IPv4Network], ranked: str, having: str) -> None:
    assert holders(networks, list(ranked)) == frozenset(having)


def test_a_death_and_a_return() -> None:
    """Each look begins with what the last one has left; looking again changes nothing."""
    networks, present = dict.fromkeys("ab", NET), frozenset[str]()
    seen = []
    for alive in ({"a": None}, {"a": True, "b": True}, {"a": False, "b": True}, {"a": True, "b": True}, {"b": False}):
        for _ in range(2):
            present = holders(networks, order(networks, alive.get, present))
        seen.append("".join(present))
    assert seen == ["a", "a", "b", "b", "a"]
