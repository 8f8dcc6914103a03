# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""What network managers are told: their files for the NIC become files for the bridge."""

from __future__ import annotations

from pathlib import Path

import pytest

from ovn_k8s.uplink.errors import UplinkError
from ovn_k8s.uplink.kernel import Facts, Interface
from ovn_k8s.uplink.managers import ifupdown, networkd, networkmanager
from ovn_k8s.uplink.record import MOVING, Record

NETWORKD = """\
# the cloud's
[Match]
Name=ens*
PermanentMACAddress=02:00:00:00:00:01
[Link]
MTUBytes=1460
RequiredForOnline=yes
[Network]
DHCP=ipv4
DNS=192.0.2.53 \\
 192.0.2.54
Address=2001:db8::2/64
[Route]
Gateway=192.0.2.1
GatewayOnLink=yes
[Route]
Gateway=2001:db8::1
[RoutingPolicyRule]
From=192.0.2.3
Table=77
"""
CLIENT = "ffacdcd17700020000ab1179028ca19ae51d78"


def test_networkd_gives_the_bridge_all_but_what_is_the_nics() -> None:
    made = networkd.for_bridge(NETWORKD, "ens4", "brens4", CLIENT)
    assert made.splitlines()[2:4] == ["[Match]", "Name=brens4"]
    assert made.count("[Match]") == 1 and "ens*" not in made and "PermanentMACAddress" not in made
    assert "MTUBytes" not in made, "Open vSwitch sets it"
    for line in ("RequiredForOnline=yes", "DHCP=ipv4", "Address=2001:db8::2/64", "GatewayOnLink=yes", "Table=77"):
        assert line in made.splitlines()
    assert "DNS=192.0.2.53   192.0.2.54" in made
    assert made.count("[Route]") == 2
    assert "IgnoreCarrierLoss=yes" in made
    assert f"IAID={0xACDCD177}" in made, "the DHCP server knows the client again"


def test_networkd_is_not_done_while_it_uses_a_file_that_is_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a file was removed and before networkd has taken note of it."""
    monkeypatch.setattr(networkd, "STATE", tmp_path)
    file = tmp_path / "00-ovn-k8s-ext0.network"
    (tmp_path / "links").mkdir()
    state = tmp_path / "links/7"
    nic = Interface(7, "ext0", "02:00:00:00:00:01", 1500, True)
    for text, done in (
        (f"ADMIN_STATE=configured\nNETWORK_FILE={file}\n", False),
        (f"ADMIN_STATE=configuring\nNETWORK_FILE={tmp_path}/links/7\n", False),
        (f"ADMIN_STATE=configured\nNETWORK_FILE={tmp_path}/links/7\n", True),
        ("ADMIN_STATE=configured\n", False),
    ):
        state.write_text(text)
        assert networkd.Networkd().settled(nic) is done


def test_networkd_client_identifiers() -> None:
    assert "ClientIdentifier=mac" in networkd.for_bridge(NETWORKD, "ens4", "brens4", "01020000000001")
    own = NETWORKD + "[DHCPv4]\nClientIdentifier=mac\n"
    assert "IAID" not in networkd.for_bridge(own, "ens4", "brens4", CLIENT)
    assert "IAID=7\n" in networkd.for_bridge(NETWORKD + "[DHCPv4]\nIAID=7\n", "ens4", "brens4", CLIENT)
    assert "[DHCPv4]" not in networkd.for_bridge(NETWORKD, "ens4", "brens4", "")
    assert "IgnoreCarrierLoss=yes" not in networkd.for_bridge("[Network]\nIgnoreCarrierLoss=3s\n", "a", "bra", "")


@pytest.mark.parametrize("key", ["Bond", "Bridge", "VLAN"])
def test_networkd_stacked_interfaces_are_refused(key: str) -> None:
    with pytest.raises(UplinkError, match=rf"ens4 is stacked with another interface \({key}=other\)"):
        networkd.for_bridge(f"[Network]\n{key}=other\n", "ens4", "brens4", "")


IFUPDOWN = """\
source /etc/network/interfaces.d/*
auto lo eth0
allow-hotplug eth0 eth1
iface lo inet loopback

# the way out
iface eth0 inet static
    address 192.0.2.2/24
    gateway 192.0.2.1
    mtu 1460
    up ip route add 198.51.100.0/24 via 192.0.2.1 dev eth0
    dns-nameservers 192.0.2.53
iface eth0 inet6 static
    address 2001:db8::2/64

iface eth1 inet static
    address 10.0.0.1/24
    up ip route add 10.9.0.0/16 via 10.0.0.9
"""


def test_ifupdown_stanzas_become_the_bridges() -> None:
    made = ifupdown.for_bridge(IFUPDOWN, "eth0", "breth0")
    lines = made.splitlines()
    assert "auto lo eth0 breth0" in lines and "allow-hotplug eth0 breth0 eth1" in lines
    assert lines.index("iface eth0 inet manual") < lines.index("iface breth0 inet static")
    assert lines.count("iface eth0 inet manual") == 1 and "iface breth0 inet6 static" in lines
    assert "    up ip route add 198.51.100.0/24 via 192.0.2.1 dev breth0" in lines
    assert "    mtu 1460" not in lines, "Open vSwitch sets it"
    at = lines.index("iface eth1 inet static")
    assert lines[at:] == IFUPDOWN.splitlines()[-3:], "other interfaces stay as they are"


def test_ifupdown_names_that_begin_alike_are_others() -> None:
    text = "auto eth0.7\niface eth0.7 inet dhcp\nauto eth0\niface eth0 inet dhcp\n"
    made = ifupdown.for_bridge(text, "eth0", "breth0").splitlines()
    assert made[:2] == ["auto eth0.7", "iface eth0.7 inet dhcp"]


def test_ifupdown_finds_interfaces_without_the_addresses_that_the_move_gave(monkeypatch: pytest.MonkeyPatch) -> None:
    """`ip address add` of an address that is there fails, and ifup with it: the move was undone each time."""
    said: list[tuple[str, ...]] = []
    monkeypatch.setattr(ifupdown, "command", lambda *words: said.append(words) or "")
    facts = Facts((), (), (), {}, 1500, "02:00:00:00:00:01")
    record = Record("eth0", "breth0", "netdev", "ifupdown", MOVING, 30.0, facts, {}, {})
    ifupdown.Ifupdown().adopt(record)
    ifupdown.Ifupdown().restore(record)
    for interface in ("eth0", "breth0"):
        emptied = said.index(("ip", "address", "flush", "dev", interface, "scope", "global"))
        assert said[emptied + 1] == ("ifup", "--force", interface)
    assert said[-2:] == said[:2], "and when it goes back"


def test_ifupdown_stacked_interfaces_are_refused() -> None:
    with pytest.raises(UplinkError, match="eth0 is stacked"):
        ifupdown.for_bridge(IFUPDOWN + "iface br0 inet dhcp\n    bridge_ports eth0\n", "eth0", "breth0")


def test_ifupdown_finds_the_file_of_a_nic(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "interfaces.d").mkdir()
    (tmp_path / "interfaces").write_text("source interfaces.d/*\niface lo inet loopback\n")
    (tmp_path / "interfaces.d/50-cloud").write_text("auto ens4\niface ens4 inet dhcp\n")
    monkeypatch.setattr(ifupdown, "MAIN", tmp_path / "interfaces")
    assert ifupdown._sources("ens4") == [tmp_path / "interfaces.d/50-cloud"]
    assert ifupdown._sources("ens") == []


NETWORK_MANAGER = """\
[connection]
id=Wired connection 1
uuid=8ac3ee4f-1a4c-44c6-a0ac-a6b5e5ac7cf5
type=ethernet
interface-name=ens4
permissions=

[ethernet]
mac-address=02:00:00:00:00:01

[ipv4]
address1=192.0.2.2/32,198.51.100.1
dns=192.0.2.53;
method=manual
routing-rule1=priority 5 from 192.0.2.3 table 77

[ipv6]
addr-gen-mode=stable-privacy
method=auto
"""


def test_networkmanager_gives_the_bridge_the_addressing() -> None:
    made = networkmanager.for_bridge(NETWORK_MANAGER, "ens4", "brens4", {})
    lines = made.splitlines()
    assert {"id=ovn-k8s-brens4", "interface-name=brens4", "type=generic"} <= set(lines)
    assert "8ac3ee4f" not in made and "[ethernet]" not in made
    assert {"address1=192.0.2.2/32,198.51.100.1", "dns=192.0.2.53;", "addr-gen-mode=stable-privacy"} <= set(lines)
    assert "routing-rule1=priority 5 from 192.0.2.3 table 77" in lines
    assert networkmanager.for_bridge(NETWORK_MANAGER, "ens4", "brens4", {}) == made, "the same each time"


def test_networkmanager_members_of_bonds_are_refused() -> None:
    with pytest.raises(UplinkError, match="ens4 is part of bond0"):
        networkmanager.for_bridge(NETWORK_MANAGER.replace("permissions=", "master=bond0"), "ens4", "brens4", {})


@pytest.mark.parametrize(("flags", "header"), [("0x5802\n", "true"), ("0x1802\n", "false")])
def test_networkmanager_is_told_what_kind_of_tap_the_bridge_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, flags: str, header: str
) -> None:
    """Else it finds no suitable device. The first flags are those of Open vSwitch 3.5 in the lab."""
    monkeypatch.setattr(networkmanager, "TAP_FLAGS", tmp_path / "tun_flags")
    assert networkmanager.tap_settings() == {}
    (tmp_path / "tun_flags").write_text(flags)
    lines = networkmanager.for_bridge(NETWORK_MANAGER, "ens4", "brens4", networkmanager.tap_settings()).splitlines()
    at = lines.index("[tun]")
    assert "type=tun" in lines and lines[at + 1 : at + 3] == ["mode=2", f"vnet-hdr={header}"]
