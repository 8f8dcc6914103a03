# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""`ovn-k8s-overlay apply` on machines that misbehave."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from cni_caller import Agent
from small_ovn import Node, SmallOvn
from test_host_apply import addresses, overlay


@pytest.fixture
def rough(ovn: SmallOvn) -> Iterator[Node]:
    """A blank node; what a test has written into node.toml is its own."""
    node = next((node for node in ovn.nodes if node.name == "rough"), None) or ovn.add_node("rough")
    Agent(node)  # writes node.toml
    yield node
    overlay(node, "remove")


def test_an_interface_that_open_vswitch_cannot_take_keeps_its_addresses(rough: Node) -> None:
    config = rough.directory / "node.toml"
    config.write_text(config.read_text().replace('interface = "eth0"', 'interface = "lo"'))
    rough.enter("ip", "address", "add", "203.0.113.7/32", "dev", "lo")
    with pytest.raises(AssertionError, match=r"Open vSwitch cannot take lo: .*lo keeps its addresses"):
        overlay(rough, "apply")
    assert "203.0.113.7/32" in addresses(rough, "lo")
    assert addresses(rough, "br-phy") == []
    overlay(rough, "remove")
    assert "203.0.113.7/32" in addresses(rough, "lo")
    assert "br-phy" not in rough.vsctl("list-br")


def test_a_next_hop_that_only_another_route_leads_to(rough: Node) -> None:
    """As clouds give it: an address of its own, a route to the router, and all the rest by way of that."""
    rough.enter("ip", "address", "add", "192.0.2.9/32", "dev", "eth0")
    rough.enter("ip", "route", "add", "192.0.2.1", "dev", "eth0", "scope", "link")
    rough.enter("ip", "route", "add", "default", "via", "192.0.2.1", "dev", "eth0")
    for command, interface in (("apply", "br-phy"), ("remove", "eth0"), ("apply", "br-phy")):
        overlay(rough, command)
        listed = rough.enter("ip", "route", "show", "dev", interface)
        assert "default via 192.0.2.1" in listed, command
        assert "192.0.2.1 scope link" in listed, command
    assert overlay(rough, "apply") == []


def test_a_link_local_address_that_comes_later_is_not_what_the_interface_had(rough: Node) -> None:
    """As daemons for zero configuration give one to an interface without address."""
    rough.enter("ip", "address", "replace", "198.51.100.9/32", "dev", "eth0")
    overlay(rough, "apply")
    rough.enter("ip", "address", "add", "169.254.7.7/16", "dev", "eth0", "scope", "link")
    overlay(rough, "apply")
    assert "198.51.100.9/32" in addresses(rough, "br-phy")
    overlay(rough, "remove")
    assert "198.51.100.9/32" in addresses(rough, "eth0")
