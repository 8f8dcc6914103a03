# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""Which gateway and address a namespace's annotations mean, and the rows that follow."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Interface

import pytest
from ansible_collections.ovn_k8s.cluster.plugins.module_utils.core.egress_rows import (
    Exit,
    Inside,
    NoExit,
    choose,
    egress_rows,
)
from ansible_collections.ovn_k8s.cluster.plugins.module_utils.core.policies import namespace_from_api

A = Exit("gwa", IPv4Interface("192.0.2.12/24"), IPv4Interface("100.64.0.2/16"))
B = Exit("gwb", IPv4Interface("192.0.2.13/24"), IPv4Interface("100.64.0.3/16"))
C = Exit("gwc", IPv4Interface("198.51.100.2/32"), IPv4Interface("100.64.0.4/16"))
INSIDE = Inside(("10.244.0.0/16", "100.64.0.0/16", "172.30.0.11/32"))


@pytest.mark.parametrize(
    ("gateway", "address", "name", "seen"),
    [
        ("gwb", "", "gwb", "192.0.2.13"),
        ("", "192.0.2.13", "gwb", "192.0.2.13"),
        ("", "192.0.2.99", "gwa", "192.0.2.99"),
        ("gwb", "192.0.2.99", "gwb", "192.0.2.99"),
        ("gwc", "203.0.113.7", "gwc", "203.0.113.7"),
        ("", "198.51.100.2", "gwc", "198.51.100.2"),
    ],
)
def test_what_annotations_mean(gateway: str, address: str, name: str, seen: str) -> None:
    way, found = choose(gateway, address, [C, A, B])
    assert (way.name, str(found)) == (name, seen)


def test_an_address_is_the_first_gateway_s_unless_it_is_one_s_own() -> None:
    assert [choose("", address, [B, A])[0] for address in ("192.0.2.99", "192.0.2.12")] == [B, A]


@pytest.mark.parametrize(
    ("gateway", "address", "why"),
    [
        ("gwz", "", "there is no gateway 'gwz'"),
        ("", "192.0.2.300", "'192.0.2.300' is no IPv4 address"),
        ("", "2001:db8::1", "is no IPv4 address"),
        ("", "203.0.113.7", "is in no gateway's network"),
        ("gwa", "192.0.2.13", "is the address of gateway 'gwb', not of 'gwa'"),
    ],
)
def test_what_cannot_be_had(gateway: str, address: str, why: str) -> None:
    with pytest.raises(NoExit, match=why):
        choose(gateway, address, [A, B, C])


def test_no_gateway_at_all() -> None:
    with pytest.raises(NoExit):
        choose("", "192.0.2.12", [])


def test_the_gateway_s_own_address_needs_no_translation() -> None:
    pods = [IPv4Address("10.244.1.4"), IPv4Address("10.244.1.3")]
    addresses, inside, outside = egress_rows("cluster", "shop", pods, (A, A.outside.ip), INSIDE)
    assert addresses.columns == {"addresses": ["10.244.1.3", "10.244.1.4"]}
    assert inside.columns == {
        "priority": 201,
        "match": f"ip4.src == ${addresses.name} && ip4.dst == {{10.244.0.0/16, 100.64.0.0/16, 172.30.0.11/32}}",
        "action": "allow",
        "nexthops": [],
    }
    assert outside.columns == {
        "priority": 200,
        "match": f"ip4.src == ${addresses.name}",
        "action": "reroute",
        "nexthops": ["100.64.0.2"],
    }
    assert {addresses.owner, inside.owner, outside.owner} == {"egress/shop"}


def test_another_address_is_translated_for_each_pod() -> None:
    pods = [IPv4Address("10.244.1.3"), IPv4Address("10.244.1.4")]
    _addresses, _inside, _outside, *nat = egress_rows("cluster", "shop", pods, (B, IPv4Address("192.0.2.99")), INSIDE)
    assert [(row.parent.name, row.columns["logical_ip"], row.columns["external_ip"]) for row in nat if row.parent] == [
        ("GR_gwb", "10.244.1.3", "192.0.2.99"),
        ("GR_gwb", "10.244.1.4", "192.0.2.99"),
    ]


def test_without_a_way_out_nothing_leaves() -> None:
    _addresses, _inside, outside = egress_rows("cluster", "shop", [IPv4Address("10.244.1.3")], None, INSIDE)
    assert (outside.columns["action"], outside.columns["nexthops"]) == ("drop", [])


def test_the_annotations_are_read() -> None:
    metadata = {"name": "shop", "annotations": {"ovn.ovn-k8s.io/egress-ip": " 192.0.2.99 "}}
    assert namespace_from_api({"metadata": metadata}).egress == ("", "192.0.2.99")
    assert namespace_from_api({"metadata": {"name": "shop"}}).egress == ()
