# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""Addresses: what is refused, and that node subnets stay with their node."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network

import pytest
from ansible_collections.ovn_k8s.cluster.plugins.module_utils.core import addresses
from ansible_collections.ovn_k8s.cluster.plugins.module_utils.core.addresses import AddressError

CLUSTER = IPv4Network("10.244.0.0/16")


def net(text: str) -> IPv4Network:
    return IPv4Network(text)


@pytest.mark.parametrize(
    ("value", "complaint"),
    [
        ("10.244.0.1/16", "the network is 10.244.0.0/16"),
        ("10.244.0.0", "no prefix length"),
        ("10.244.0.0/33", "not an IPv4 network"),
        ("fd00::/64", "not an IPv4 network"),
        ("pods", "no prefix length"),
        (1024, "1024 is not a network"),
        (None, "None is not a network"),
    ],
)
def test_a_bad_network_is_refused_with_its_value(value: object, complaint: str) -> None:
    with pytest.raises(AddressError, match=complaint):
        addresses.parse_network(value)


def test_addresses_and_interfaces() -> None:
    assert addresses.parse_address(" 192.0.2.1 ") == IPv4Address("192.0.2.1")
    assert addresses.parse_interface("192.0.2.2/24").network == net("192.0.2.0/24")
    for bad in ("192.0.2", "node1", 5):
        with pytest.raises(AddressError):
            addresses.parse_address(bad)
        with pytest.raises(AddressError):
            addresses.parse_interface(bad)


def test_overlaps_names_each_pair_once() -> None:
    networks = {"a": net("10.0.0.0/8"), "b": net("10.96.0.0/16"), "c": net("192.0.2.0/24")}
    assert addresses.overlaps(networks) == [("a", "b")]


def test_subnets_in_order_and_kept_for_life() -> None:
    first = addresses.allocate_subnets(CLUSTER, 24, ["master", "linux1"])
    assert first == {"master": net("10.244.0.0/24"), "linux1": net("10.244.1.0/24")}
    second = addresses.allocate_subnets(CLUSTER, 24, ["linux2", "linux1", "master"], taken=first)
    assert second == {**first, "linux2": net("10.244.2.0/24")}
    without = {"linux1": first["linux1"]}
    assert addresses.allocate_subnets(CLUSTER, 24, ["linux3"], taken=without)["linux3"] == net("10.244.0.0/24")


def test_a_node_keeps_its_subnet_when_the_prefix_changes_and_others_avoid_it() -> None:
    taken = {"old": net("10.244.0.0/23")}
    given = addresses.allocate_subnets(CLUSTER, 24, ["old", "new"], taken=taken)
    assert given == {"old": net("10.244.0.0/23"), "new": net("10.244.2.0/24")}


def test_fixed_subnets() -> None:
    given = addresses.allocate_subnets(CLUSTER, 24, ["a", "b"], fixed={"b": net("10.244.0.0/24")})
    assert given == {"a": net("10.244.1.0/24"), "b": net("10.244.0.0/24")}
    cases = [
        ({"a": net("10.245.0.0/24")}, {}, "outside the cluster network"),
        ({"a": net("10.244.3.0/24")}, {"a": net("10.244.4.0/24")}, "keeps it for life"),
        ({"a": net("10.244.3.0/24")}, {"b": net("10.244.2.0/23")}, "overlaps 10.244.2.0/23 of 'b'"),
        ({"a": net("10.244.3.0/30")}, {}, "too small"),
    ]
    for fixed, taken, complaint in cases:
        with pytest.raises(AddressError, match=complaint):
            addresses.allocate_subnets(CLUSTER, 24, ["a"], taken=taken, fixed=fixed)


def test_a_full_network_is_an_error_that_names_the_node() -> None:
    with pytest.raises(AddressError, match="no subnet is left for node 'c'"):
        addresses.allocate_subnets(net("10.244.0.0/23"), 24, ["a", "b", "c"])


def test_meaning_of_addresses() -> None:
    subnet = net("10.244.1.0/24")
    assert str(addresses.router_address(subnet)) == "10.244.1.1"
    assert str(addresses.node_address(subnet)) == "10.244.1.2"
    pods = addresses.pod_addresses(subnet)
    assert (str(IPv4Address(pods[0])), str(IPv4Address(pods[-1])), len(pods)) == ("10.244.1.3", "10.244.1.254", 252)
    assert addresses.mac_for("10.244.1.3") == "0a:58:0a:f4:01:03"
    assert addresses.with_prefix(IPv4Address("10.244.1.3"), subnet) == "10.244.1.3/24"
    assert str(addresses.first_service_address(net("10.96.0.0/16"))) == "10.96.0.1"
    assert addresses.subnet_count(CLUSTER, 24) == 256 and addresses.subnet_count(CLUSTER, 8) == 0
