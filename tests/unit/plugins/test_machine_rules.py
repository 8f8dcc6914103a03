# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""Every rule about machines, one line each."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from ansible_collections.ovn_k8s.cluster.plugins.plugin_utils.machine_rules import (
    Wishes,
    outside_facts,
    pod_mtu,
    problems,
)

FACTS: dict[str, Any] = {
    "distribution": "Debian",
    "distribution_major_version": "13",
    "architecture": "x86_64",
    "service_mgr": "systemd",
    "python": {"version": {"major": 3, "minor": 13}},
    "interfaces": ["lo", "eth0", "ext0"],
    "all_ipv4_addresses": ["172.30.0.12", "192.0.2.2"],
    "eth0": {"mtu": 1500, "ipv4": {"address": "172.30.0.12"}, "macaddress": "02:00:00:00:00:01"},
    "ext0": {"mtu": 1500, "ipv4": {"address": "192.0.2.2"}},
    "lo": {"mtu": 65536},
}
WISHES = Wishes("172.30.0.12", "system", True, 0, "", "ext0")


SHARED = dataclasses.replace(WISHES, gateway_bridge="brext0")


def test_a_shared_interface_is_the_way_out() -> None:
    ext0 = {"ipv4": {"address": "192.0.2.2", "netmask": "255.255.255.255"}, "macaddress": "02:00:00:00:02:0e"}
    out = {"interface": "ext0", "gateway": "198.51.100.1"}
    facts = {**FACTS, "ext0": ext0, "default_ipv4": out}
    assert problems(facts, SHARED) == []
    known = {"mac": "02:00:00:00:02:0e", "address": "192.0.2.2/32", "nexthop": "198.51.100.1"}
    assert outside_facts(facts, ("brext0", "ext0")) == known, "a router outside the address' network, as clouds have it"
    moved = {**facts, "interfaces": [*FACTS["interfaces"], "brext0"], "brext0": ext0, "ext0": {}}
    moved["default_ipv4"] = {**out, "interface": "brext0"}
    assert outside_facts(moved, ("brext0", "ext0")) == known, "the same once it is in the bridge"
    (found,) = problems({**facts, "default_ipv4": {**out, "interface": "eth0"}}, SHARED)
    assert "no default route, so it is no way out; that is eth0" in found
    (found,) = problems({**facts, "ext0": {"macaddress": "02:00:00:00:02:0e"}}, SHARED)
    assert "no IPv4 address to share" in found


def test_a_sound_machine() -> None:
    assert problems(FACTS, WISHES) == []
    assert pod_mtu(FACTS, WISHES) == 1400
    assert pod_mtu(FACTS, dataclasses.replace(WISHES, mtu=1300)) == 1300


@pytest.mark.parametrize(
    ("facts", "wishes", "words"),
    [
        ({"distribution": "Fedora", "distribution_major_version": "44"}, {}, "Fedora 44, which is not supported"),
        ({"distribution_major_version": "11"}, {}, "Debian 11"),
        ({"architecture": "riscv64"}, {}, "riscv64"),
        ({"service_mgr": "openrc"}, {}, "systemd"),
        ({"python": {"version": {"major": 3, "minor": 9}}}, {}, "Python is 3.9"),
        ({}, {"kernel_module": False}, "no module openvswitch"),
        ({}, {"underlay_interface": "eth7"}, "ovn_k8s_underlay_interface = 'eth7' does not exist"),
        ({}, {"gateway_interface": "eth7"}, "ovn_k8s_gateway_interface = 'eth7' does not exist"),
        ({}, {"gateway_interface": "eth0"}, "interface of its own"),
        ({}, {"node_ip": "10.0.0.1"}, "ovn_k8s_node_ip = '10.0.0.1' is no address of the machine"),
        ({}, {"mtu": 1450}, "use at most 1400"),
        ({"eth0": {"mtu": 600, "ipv4": {"address": "172.30.0.12"}}}, {}, "leaves 500 for pods"),
    ],
)
def test_rules(facts: dict[str, Any], wishes: dict[str, Any], words: str) -> None:
    found = problems({**FACTS, **facts}, dataclasses.replace(WISHES, **wishes))
    assert len(found) == 1 and words in found[0]
