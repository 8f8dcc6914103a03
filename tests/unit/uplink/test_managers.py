# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""What network managers are told: their files for the NIC become files for the bridge."""

from __future__ import annotations

import configparser
import dataclasses
import socket
from pathlib import Path

import pytest

from ovn_k8s.uplink.errors import UplinkError
from ovn_k8s.uplink.kernel import Facts, Interface, Route
from ovn_k8s.uplink.managers import ifupdown, networkd, networkmanager
from ovn_k8s.uplink.record import MOVING, Record

FACTS = Facts((), (), (), {}, 1500, "02:00:00:00:00:01")


def with_metric(metric: int) -> Facts:
    """Those of a NIC with a default route."""
    return dataclasses.replace(FACTS, routes=(Route(socket.AF_INET, "0.0.0.0/0", "192.0.2.1", metric=metric),))


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
        assert networkd.Networkd().settled(nic, leased=True) is done
    state.write_text(f"ADMIN_STATE=configuring\nNETWORK_FILE={tmp_path}/links/7\n")
    assert networkd.Networkd().settled(nic, leased=False), "it may be waiting for a router of IPv6, where there is none"


def test_networkd_finds_the_bridge_without_what_it_does_not_lease(monkeypatch: pytest.MonkeyPatch) -> None:
    """It does not know networks that a link had before it managed it, and waited for their routers for ever."""
    said: list[tuple[str, ...]] = []
    monkeypatch.setattr(networkd, "command", lambda *words: said.append(words) or "")
    monkeypatch.setattr(networkd, "_index", lambda name: 7)
    monkeypatch.setattr(networkd, "within", lambda seconds, probe: True)
    monkeypatch.setattr(networkd, "write_files", lambda files, before: said.append(("written", *files)))
    files = {str(networkd.FOLDER / f"00-ovn-k8s-{name}.network"): name for name in ("eth0", "breth0")}
    networkd.Networkd().adopt(Record("eth0", "breth0", "netdev", "networkd", MOVING, 30.0, FACTS, files, {}))
    assert said[-3:] == [
        ("written", *files),
        ("ip", "address", "flush", "dev", "breth0", "permanent", "scope", "global"),
        ("networkctl", "reload"),
    ]


def test_network_is_online_with_the_bridge_in_place_of_the_nic() -> None:
    """netplan has each boot wait for its interfaces by name, and the NIC gets no address any more."""
    program = "/usr/lib/systemd/systemd-networkd-wait-online"
    text = f"[Service]\nExecStart=\nExecStart={program} -i eth0:degraded -i eth01:degraded\n"
    text += f"ExecStart={program} --any --dns -o routable -i eth01 -i eth0\n"
    made = networkd.online_with(text, "eth0", "breth0").splitlines()
    assert made[2:] == [
        f"ExecStart={program} -i breth0:degraded -i eth01:degraded",
        f"ExecStart={program} --any --dns -o routable -i eth01 -i breth0",
    ]


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
    made = ifupdown.for_bridge(IFUPDOWN, "eth0", "breth0", FACTS)
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
    made = ifupdown.for_bridge(text, "eth0", "breth0", FACTS).splitlines()
    assert made[:2] == ["auto eth0.7", "iface eth0.7 inet dhcp"]


def test_ifupdown_finds_interfaces_without_the_addresses_that_the_move_gave(monkeypatch: pytest.MonkeyPatch) -> None:
    """`ip address add` of an address that is there fails, and ifup with it: the move was undone each time."""
    said: list[tuple[str, ...]] = []
    monkeypatch.setattr(ifupdown, "command", lambda *words: said.append(words) or "")
    record = Record("eth0", "breth0", "netdev", "ifupdown", MOVING, 30.0, FACTS, {}, {})
    ifupdown.Ifupdown().adopt(record)
    ifupdown.Ifupdown().restore(record)
    for interface in ("eth0", "breth0"):
        emptied = said.index(("ip", "address", "flush", "dev", interface, "scope", "global"))
        assert said[emptied + 1] == ("ifup", "--force", interface)
    assert said[-2:] == said[:2], "and when it goes back"


@pytest.mark.parametrize("own", ["", "    metric 7\n"])
def test_ifupdown_leased_routes_keep_their_metric(own: str) -> None:
    """dhcpcd makes it from the interface's number; the bridge's is the highest, and another NIC was the way out."""
    text = f"auto eth0\niface eth0 inet dhcp\n{own}iface eth0 inet6 auto\n    metric 9\n"
    made = ifupdown.for_bridge(text, "eth0", "breth0", with_metric(1002)).splitlines()
    assert made[made.index("iface breth0 inet dhcp") + 1 :] == [
        "    metric 1002", "iface breth0 inet6 auto", "    metric 9"
    ]  # fmt: skip
    assert "metric 1002" not in ifupdown.for_bridge(IFUPDOWN, "eth0", "breth0", with_metric(1002))
    assert "metric" not in ifupdown.for_bridge("iface eth0 inet dhcp\n", "eth0", "breth0", with_metric(0))


def test_ifupdown_stacked_interfaces_are_refused() -> None:
    with pytest.raises(UplinkError, match="eth0 is stacked"):
        ifupdown.for_bridge(IFUPDOWN + "iface br0 inet dhcp\n    bridge_ports eth0\n", "eth0", "breth0", FACTS)


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
    made = networkmanager.for_bridge(NETWORK_MANAGER, "ens4", "brens4", {}, FACTS)
    lines = made.splitlines()
    assert {"id=ovn-k8s-brens4", "interface-name=brens4", "type=generic"} <= set(lines)
    assert "8ac3ee4f" not in made and "[ethernet]" not in made
    assert {"address1=192.0.2.2/32,198.51.100.1", "dns=192.0.2.53;", "addr-gen-mode=stable-privacy"} <= set(lines)
    assert "routing-rule1=priority 5 from 192.0.2.3 table 77" in lines
    assert networkmanager.for_bridge(NETWORK_MANAGER, "ens4", "brens4", {}, FACTS) == made, "the same each time"


def test_networkmanager_routes_keep_their_metric() -> None:
    """It takes the bridge for something worse than Ethernet, and another NIC was the way out."""
    made = networkmanager.for_bridge(NETWORK_MANAGER, "ens4", "brens4", {}, with_metric(100)).splitlines()
    at = made.index("[ipv6]")
    assert made[:at].count("route-metric=100") == made[at:].count("route-metric=100") == 1
    unreachable = networkmanager.for_bridge(NETWORK_MANAGER, "ens4", "brens4", {}, with_metric(20100))
    assert unreachable.splitlines() == made, "a penalty is not the profile's"
    own = NETWORK_MANAGER.replace("method=auto", "method=auto\nroute-metric=7")
    assert "route-metric=7" in networkmanager.for_bridge(own, "ens4", "brens4", {}, with_metric(100)).splitlines()
    assert "route-metric" not in networkmanager.for_bridge(NETWORK_MANAGER, "ens4", "brens4", {}, FACTS)


def test_networkmanager_manages_the_bridge_and_not_the_nic(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """At boot it left the bridge, whose interface was down, to whoever had made it, and the machine had no address."""
    profile = tmp_path / "wired.nmconnection"
    profile.write_text(NETWORK_MANAGER)
    answers = {"-g": "8ac3ee4f\n", "-t": f"8ac3ee4f:{profile}\n"}
    monkeypatch.setattr(networkmanager, "command", lambda *words: answers[words[1]])
    nic = Interface(7, "ens4", "02:00:00:00:00:01", 1500, True)
    made = networkmanager.NetworkManager().files(nic, "brens4", FACTS)
    configuration = configparser.ConfigParser()
    configuration.read_string(made["/etc/NetworkManager/conf.d/90-ovn-k8s-ens4.conf"] or "")
    assert configuration["keyfile"]["unmanaged-devices+"] == "interface-name:ens4"
    device = configuration["device-ovn-k8s-brens4"]
    assert (device["match-device"], device["managed"]) == ("interface-name:brens4", "1")


def test_networkmanager_forgets_the_profile_before_the_bridge_goes(monkeypatch: pytest.MonkeyPatch) -> None:
    """It made a tap device of this name once Open vSwitch had removed its own, and the NIC could not come back."""
    said: list[tuple[str, ...]] = []
    monkeypatch.setattr(networkmanager, "command", lambda *words: said.append(words) or "")
    record = Record("ens4", "brens4", "netdev", "networkmanager", MOVING, 30.0, FACTS, {}, {})
    networkmanager.NetworkManager().abandon(record)
    assert said[-1] == ("nmcli", "connection", "delete", "ovn-k8s-brens4")


def test_networkmanager_members_of_bonds_are_refused() -> None:
    with pytest.raises(UplinkError, match="ens4 is part of bond0"):
        networkmanager.for_bridge(NETWORK_MANAGER.replace("permissions=", "master=bond0"), "ens4", "brens4", {}, FACTS)


@pytest.mark.parametrize(("flags", "header"), [("0x5802\n", "true"), ("0x1802\n", "false")])
def test_networkmanager_is_told_what_kind_of_tap_the_bridge_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, flags: str, header: str
) -> None:
    """Else it finds no suitable device. The first flags are those of Open vSwitch 3.5 in the lab."""
    monkeypatch.setattr(networkmanager, "TAP_FLAGS", tmp_path / "tun_flags")
    assert networkmanager.tap_settings() == {}
    (tmp_path / "tun_flags").write_text(flags)
    tap = networkmanager.tap_settings()
    lines = networkmanager.for_bridge(NETWORK_MANAGER, "ens4", "brens4", tap, FACTS).splitlines()
    at = lines.index("[tun]")
    assert "type=tun" in lines and lines[at + 1 : at + 3] == ["mode=2", f"vnet-hdr={header}"]
