# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""Every rule about Windows machines: what is changed, and which words the message must have (evidence: unit)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from ansible_collections.ovn_k8s.cluster.plugins.plugin_utils import windows_rules as rules

ETHERNET = {
    "name": "Ethernet",
    "description": "Intel",
    "mac": "00:15:5d:00:00:01",
    "mtu": 1500,
    "up": True,
    "dhcp": False,
    "addresses": ["192.0.2.21/24"],
    "gateways": ["192.0.2.1"],
}
MACHINE: dict[str, Any] = {
    "name": "WIN1",
    "architecture": "AMD64",
    "product": "Windows Server 2022 Datacenter",
    "build": 20348,
    "revision": 2762,
    "installation_type": "Server Core",
    "hns_version": "13.2",
    "pending_reboot": [],
    "time": 1000.0,
    "adapters": [ETHERNET],
    "services": {"hns": True},
}
WISHES = rules.Wishes("win1", "192.0.2.21", "hybrid_overlay", "containerd", "", 0, True, 1003.0)


def test_a_sound_machine_has_no_problems() -> None:
    assert rules.problems(MACHINE, WISHES) == []
    assert rules.warnings(MACHINE, WISHES) == []
    assert rules.adapter_of(MACHINE, WISHES) == "Ethernet"
    assert rules.pod_mtu(MACHINE, WISHES) == 1450
    assert rules.pod_mtu(MACHINE, replace(WISHES, datapath="ovs")) == 1400
    assert "dsr" in rules.features(MACHINE)


def test_a_machine_with_a_virtual_switch_keeps_its_adapter() -> None:
    virtual = ETHERNET | {"name": "vEthernet (Ethernet)"}
    machine = MACHINE | {"adapters": [ETHERNET | {"addresses": []}, virtual]}
    assert rules.problems(machine, WISHES) == []
    assert rules.adapter_of(machine, WISHES) == "Ethernet"


def test_a_fixed_address_may_be_lost_on_older_builds() -> None:
    old = MACHINE | {"build": 17763, "device_less_nic_disabled": False}
    (warning,) = rules.warnings(old, WISHES)
    assert "adapter 'Ethernet' has a fixed address" in warning
    assert "hns\\State" in warning
    virtual = ETHERNET | {"name": "vEthernet (Ethernet)"}
    for change in (
        {"device_less_nic_disabled": True},
        {"adapters": [ETHERNET | {"dhcp": True}]},
        {"adapters": [ETHERNET | {"addresses": []}, virtual]},
    ):
        assert rules.warnings(old | change, WISHES) == []
    assert rules.problems(old, WISHES) == []


def test_a_machine_without_the_feature_is_not_judged_by_its_hns() -> None:
    machine = MACHINE | {"hns_version": "", "services": {}}
    assert rules.problems(machine, WISHES) == []
    assert rules.features(machine) == []


@pytest.mark.parametrize(
    ("facts", "wishes", "words"),
    [
        ({"installation_type": "Client"}, {}, "use Windows Server 2019 or newer"),
        ({"build": 14393}, {}, "the build is 14393, older than 17763"),
        ({"architecture": "ARM64"}, {}, "the architecture is ARM64"),
        ({"pending_reboot": ["an update was installed"]}, {"may_reboot": False}, "windows_worker_reboot: true"),
        ({"time": 1500.0}, {}, "the clock is 497 s ahead of"),
        ({"time": 500.0}, {}, "the clock is 503 s behind"),
        ({"adapters": []}, {}, "is no address of the machine"),
        ({"adapters": [ETHERNET | {"up": False}]}, {}, "is down; connect it"),
        ({}, {"adapter": "Ethernet 2"}, "windows_worker_adapter = 'Ethernet 2' does not exist"),
        ({}, {"mtu": 1480}, "use at most 1450, or 0"),
        ({"hns_version": "9.1"}, {}, "HNS 9.1 has no remote_subnet and no host_route"),
        ({"services": {"docker": True}}, {}, "remove docker, or set windows_runtime: docker"),
        ({"services": {"containerd": True}}, {"runtime": "docker"}, "windows_runtime: containerd"),
    ],
)
def test_machines_that_cannot_be(facts: dict[str, Any], wishes: dict[str, Any], words: str) -> None:
    (found,) = rules.problems(MACHINE | facts, replace(WISHES, **wishes))
    assert words in found


def test_what_may_surprise_is_a_warning() -> None:
    (said,) = rules.warnings(MACHINE | {"name": "WIN-7K2J"}, WISHES)
    assert "calls itself 'WIN-7K2J'" in said
    assert rules.problems(MACHINE | {"pending_reboot": ["x"]}, WISHES) == []


def test_a_node_does_not_change_its_datapath_in_silence() -> None:
    machine = MACHINE | {"node": {"datapath": "hybrid_overlay", "runtime": "containerd"}}
    assert rules.problems(machine, WISHES) == []
    (problem,) = rules.problems(machine, replace(WISHES, datapath="ovs"))
    assert "is a node with windows_datapath: hybrid_overlay" in problem and "reset.yml" in problem
    assert rules.problems(MACHINE | {"node": {}}, replace(WISHES, datapath="ovs")) == []
