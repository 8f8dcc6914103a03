# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""A NIC that a network manager configures, onto the bridge and back, with renewals, restarts and reboots between."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from trial_machine import BRIDGE, NAME_SERVER, NIC, ROUTER, Internet, TrialMachine, eventually

pytestmark = pytest.mark.timeout(900)
RELEASE = os.environ.get("LAB_RELEASE", "trixie")
STATIC = "192.0.2.20"


@dataclass(frozen=True)
class Case:
    """How the NIC is configured: `files`; `uses`: units that run; `without`: programs that are not there."""

    manager: str
    restart: str
    files: Mapping[str, str]
    uses: tuple[str, ...]
    without: tuple[str, ...] = ()
    commands: tuple[tuple[str, ...], ...] = field(default=())

    @property
    def leased(self) -> bool:
        return STATIC not in str(self.files)


_LOOPBACK = "auto lo\niface lo inet loopback\n\n"
_PROFILE = f"[connection]\nid=wired\nuuid=8ac3ee4f-1a4c-44c6-a0ac-a6b5e5ac7cf5\ntype=ethernet\ninterface-name={NIC}\n\n"
_NETPLAN = f"network:\n  version: 2\n  renderer: %s\n  ethernets:\n    {NIC}:\n"
_NETPLAN_STATIC = f"""\
      addresses: [{STATIC}/24, "2001:db8::20/64"]
      mtu: 1440
      nameservers: {{addresses: [{NAME_SERVER}], search: [trial.example]}}
      routes: [{{to: default, via: {ROUTER}}}, {{to: 198.18.0.0/15, via: {ROUTER}, metric: 50}},
               {{to: "::/0", via: "2001:db8::1"}}]
"""
_STATIC_PROFILE = (
    f"[ipv4]\nmethod=manual\naddress1={STATIC}/24,{ROUTER}\ndns={NAME_SERVER};\ndns-search=trial.example;\n"
)
_NETWORKD = ("systemd-networkd", "systemd-resolved")
CASES = {
    "ifupdown-dhclient": Case(
        "ifupdown", "networking",
        {"/etc/network/interfaces": f"{_LOOPBACK}auto {NIC}\niface {NIC} inet dhcp\n"}, ("networking",),
    ),
    "ifupdown-dhcpcd": Case(
        "ifupdown", "networking",
        {"/etc/network/interfaces": f"{_LOOPBACK}auto {NIC}\niface {NIC} inet dhcp\n"}, ("networking",),
        without=("/usr/sbin/dhclient",),
    ),
    "ifupdown-static": Case(
        "ifupdown", "networking",
        {"/etc/network/interfaces": f"{_LOOPBACK}auto {NIC}\niface {NIC} inet static\n    address {STATIC}/24\n"
         f"    gateway {ROUTER}\n    mtu 1440\n    up ip route add 198.18.0.0/15 via {ROUTER} dev {NIC}\n"},
        ("networking",),
    ),
    "networkmanager-dhcp": Case(
        "networkmanager", "NetworkManager",
        {"/etc/NetworkManager/system-connections/wired.nmconnection": f"{_PROFILE}[ipv4]\nmethod=auto\n"},
        ("NetworkManager",),
    ),
    "networkmanager-by-itself": Case("networkmanager", "NetworkManager", {}, ("NetworkManager",)),
    "networkmanager-static": Case(
        "networkmanager", "NetworkManager",
        {"/etc/NetworkManager/system-connections/wired.nmconnection": f"{_PROFILE}{_STATIC_PROFILE}"},
        ("NetworkManager",),
    ),
    "netplan-dhcp": Case(
        "netplan", "systemd-networkd",
        {"/etc/netplan/50-trial.yaml": f"{_NETPLAN % 'networkd'}      dhcp4: true\n"}, _NETWORKD,
        commands=(("netplan", "apply"),),
    ),
    "netplan-static": Case(
        "netplan", "systemd-networkd",
        {"/etc/netplan/50-trial.yaml": f"{_NETPLAN % 'networkd'}{_NETPLAN_STATIC}"}, _NETWORKD,
        commands=(("netplan", "apply"),),
    ),
    "netplan-networkmanager": Case(
        "networkmanager", "NetworkManager",
        {"/etc/netplan/50-trial.yaml": f"{_NETPLAN % 'NetworkManager'}      dhcp4: true\n"},
        ("NetworkManager", "systemd-resolved"),
        commands=(("netplan", "apply"),),
    ),
}  # fmt: skip


@pytest.fixture(params=list(CASES))
def case(request: pytest.FixtureRequest) -> Case:
    return CASES[request.param]


@pytest.fixture
def machine(case: Case, tmp_path: Path) -> Iterator[TrialMachine]:
    """Booted, and its NIC configured by the manager. Open vSwitch runs with an integration bridge, as on every node."""
    internet = Internet(tmp_path)
    made = TrialMachine(tmp_path, RELEASE, internet)
    try:
        made.prepare(case.files, case.uses, case.without)
        made.boot()
        made.run("ovs-vsctl", "add-br", "br-int", "--", "set", "bridge", "br-int", "datapath_type=netdev")
        eventually(lambda: made.address(NIC), 30, "the NIC has an address")
        eventually(made.gets_out, 10, "the machine gets out")
        yield made
    finally:
        made.power_off()
        internet.close()


def test_onto_the_bridge_and_back(machine: TrialMachine, case: Case) -> None:
    internet = machine.internet
    before = machine.picture(NIC)
    address = machine.address(NIC)
    assert before["dns"] or case.manager == "ifupdown"
    assert NAME_SERVER in str(before["dns"]) or not case.leased

    def whole(what: str) -> None:
        """The bridge has what the NIC had, the NIC nothing, and one can get in and out."""
        machine.await_picture(BRIDGE, before, what)
        assert machine.address(NIC) == "", what
        eventually(machine.gets_out, 10, f"{what}: out")
        assert internet.reaches(address), what

    assert machine.move("nics-to-bridge", NIC)["manager"] == case.manager
    whole("moved")
    assert machine.overlay("nics-to-bridge", NIC)["changed"] is False
    if case.leased:
        internet.await_renewal(address)
        whole("renewed")
    machine.run("systemctl", "restart", case.restart)
    whole(f"{case.restart} restarted")
    machine.run("systemctl", "restart", "openvswitch-switch")
    whole("Open vSwitch restarted")
    for command in case.commands:
        machine.run(*command)
        whole(" ".join(command))
    if case.leased:
        internet.await_renewal(address)
        whole("renewed after the restarts")
    machine.reboot()
    whole("rebooted")
    if case.leased:
        internet.await_renewal(address)
        whole("renewed after the boot")

    machine.move("bridge-to-nics", NIC)
    machine.await_picture(NIC, before, "back")
    assert machine.run("ovs-vsctl", "list-br").split() == ["br-int"]
    for name, content in case.files.items():
        assert machine.run("cat", name) == content
    if case.leased:
        internet.await_renewal(address)
    assert machine.picture(NIC) == before
    machine.reboot()
    machine.await_picture(NIC, before, "back and rebooted")

    machine.overlay("nics-to-bridge", NIC, "--confirm-within", "6")
    eventually(lambda: machine.overlay("uplink", "status", NIC)["phase"] == "undone", 60, "undone by itself")
    machine.await_picture(NIC, before, "undone")
    if case.leased:
        internet.await_renewal(address)
    assert internet.reaches(address)
