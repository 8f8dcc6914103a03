# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""`ovn-k8s-overlay nics-to-bridge` and `bridge-to-nics` in a network namespace, where no network manager is."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from small_ovn import Node, SmallOvn, eventually, run

ADDRESSES = ["192.0.2.2/24", "192.0.2.3/24", "203.0.113.9/32", "2001:db8::2/64"]
SETTING = "net.ipv4.conf.{}.accept_local"


class Wire:
    """NIC ext0 of a node, with everything that a NIC can have, and a router behind it."""

    def __init__(self, node: Node, folder: Path) -> None:
        self.node, self.folder = node, folder
        self.router = f"{node.netns}-r"

    def make(self) -> None:
        run("ip", "netns", "add", self.router)
        run("ip", "link", "add", "ext0", "mtu", "1460", "address", "02:00:00:00:02:22", "netns", self.node.netns,
            "type", "veth", "peer", "name", "wire", "mtu", "1460", "netns", self.router)  # fmt: skip
        for command in (
            "link set lo up",
            "address add 192.0.2.1/24 dev wire",
            "address add 203.0.113.1/32 dev lo",
            "address add 2001:db8::1/64 dev wire nodad",
            "link set wire up",
            "route add 203.0.113.9/32 dev wire",
        ):
            run("ip", "-n", self.router, *command.split())
        run("nsenter", f"--net=/run/netns/{self.router}", "ethtool", "-K", "wire", "tx", "off")
        self.ip("link set ext0 up")
        self.node.enter("ethtool", "-K", "ext0", "tx", "off")
        for address in ADDRESSES:
            self.ip(f"address add {address} dev ext0" + (" nodad" if ":" in address else ""))
        self.ip("address add 192.0.2.77/24 dev ext0 valid_lft 600 preferred_lft 300")
        self.ip("route add default via 192.0.2.1 dev ext0 metric 100 mtu 1400")
        self.ip("-6 route add default via 2001:db8::1 dev ext0 metric 50")
        # an address and a router that are not in one network, as clouds have them
        self.ip("route add 203.0.113.1 dev ext0 scope link")
        self.ip("route add 198.18.0.0/15 via 203.0.113.1 dev ext0 onlink src 203.0.113.9")
        self.ip("route add 198.51.100.0/24 via 192.0.2.1 dev ext0 table 77")
        self.ip("rule add iif ext0 lookup 77 priority 1000")
        self.ip("rule add from 192.0.2.3 lookup 77 priority 1001")
        self.node.enter("sysctl", "-qw", f"{SETTING.format('ext0')}=1")

    def ip(self, command: str) -> str:
        return self.node.enter("ip", *command.split())

    def overlay(self, *words: str, check: bool = True) -> dict[str, Any]:
        """The answer of one command."""
        options = ("--json", "--ovs-remote", f"unix:{self.node.socket}", "--records", str(self.folder))
        output = self.node.enter(sys.executable, "-m", "ovn_k8s.overlay", *words, *options, check=check)
        answer: dict[str, Any] = json.loads(output.splitlines()[-1])
        return answer

    def to_bridge(self, *options: str, check: bool = True) -> dict[str, Any]:
        return self.overlay("nics-to-bridge", "ext0", "--foreground", "--confirm-within", "0", *options, check=check)

    def to_nics(self, *options: str) -> dict[str, Any]:
        return self.overlay("bridge-to-nics", "--foreground", "--confirm-within", "0", *options)

    def picture(self, name: str) -> dict[str, Any]:
        """What an interface has, with its own name left out."""
        found: dict[str, Any] = {}
        link = json.loads(self.ip(f"-j address show {name}"))[0]
        found["mtu"], found["mac"] = link["mtu"], link["address"]
        found["addresses"] = sorted(
            (a["local"], a["prefixlen"], a["scope"], a["valid_life_time"] == 4294967295)
            for a in link["addr_info"]
            if not a["local"].startswith("fe80")
        )
        routes = [self.ip(f"{family} -d route show table all dev {name}") for family in ("-4", "-6")]
        found["routes"] = sorted(
            line.strip()
            for text in routes
            for line in text.splitlines()
            if not line.startswith(("local", "broadcast", "multicast", "anycast", "ff00", "unicast fe80", "fe80"))
        )
        found["rules"] = [line.replace(name, "IT") for line in self.ip("rule").splitlines()]
        found["setting"] = self.node.enter("sysctl", "-n", SETTING.format(name)).strip()
        return found


@pytest.fixture(scope="module")
def node(ovn: SmallOvn) -> Node:
    return ovn.add_node("uplink", topology=False)


@pytest.fixture
def wire(node: Node, tmp_path: Path) -> Iterator[Wire]:
    made = Wire(node, tmp_path / "records")
    made.make()
    try:
        yield made
    finally:
        node.vsctl("--if-exists", "del-br", "brext0")
        node.enter("ip", "rule", "del", "priority", "1000", check=False)
        node.enter("ip", "rule", "del", "priority", "1001", check=False)
        run("ip", "-n", node.netns, "link", "del", "ext0", check=False)
        run("ip", "netns", "del", made.router)


def pings(node: Node, address: str) -> bool:
    return "1 received" in node.enter("ping", "-c1", "-W1", "-n", address, check=False)


def test_everything_moves_and_comes_back(wire: Wire) -> None:
    before = wire.picture("ext0")
    assert len(before["addresses"]) == 5
    assert len(before["routes"]) >= 7
    announced = wire.to_bridge("--check")
    assert announced["changed"]
    assert wire.picture("ext0") == before, "check mode changes nothing"
    done = wire.to_bridge()
    assert done["changes"] == announced["changes"]
    assert (done["bridge"], done["manager"]) == ("brext0", "nobody")
    assert wire.picture("brext0") == before
    assert wire.picture("ext0")["addresses"] == []
    for address in ("192.0.2.1", "203.0.113.1", "2001:db8::1"):
        eventually(lambda a=address: pings(wire.node, a), f"{address} is reached through the bridge")
    assert not wire.to_bridge()["changed"], "a second run changes nothing"
    assert not wire.to_bridge("--check")["changed"]
    assert wire.to_nics("--check")["changed"]
    assert wire.to_nics()["changed"]
    assert wire.picture("ext0") == before
    assert "brext0" not in wire.node.vsctl("list-br")
    assert not wire.to_nics()["changed"]


def test_a_network_that_networkmanager_has_routed_moves_too(wire: Wire) -> None:
    """It forbids the kernel the route and sets it itself, as the kernel's."""
    wire.ip("address add 10.66.0.2/24 dev ext0 noprefixroute")
    wire.ip("route add 10.66.0.0/24 dev ext0 proto kernel scope link src 10.66.0.2 metric 100")
    wire.ip("route add 10.67.0.0/24 via 10.66.0.1 dev ext0")
    for there, name in ((wire.to_bridge, "brext0"), (wire.to_nics, "ext0")):
        assert there()["changed"]
        routes = " ".join(wire.picture(name)["routes"])
        assert "10.66.0.0/24 table main proto kernel" in routes and "10.67.0.0/24 via 10.66.0.1" in routes


def test_what_was_changed_by_hand_is_put_right(wire: Wire) -> None:
    wire.to_bridge()
    wire.node.vsctl("set", "bridge", "brext0", "fail_mode=secure")
    assert wire.to_bridge("--check")["changes"] == ["Bridge brext0: fail_mode set"]
    assert wire.to_bridge()["changed"]
    assert not wire.to_bridge()["changed"]


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (("nics-to-bridge", "ext7"), "interface ext7 is not there; this machine has .*ext0"),
        (("nics-to-bridge", "eth0"), "eth0 has no default route"),
        (("nics-to-bridge", "ext0", "--bridge", "a-bridge-of-16-b"), "longer than the 15 bytes"),
        (("nics-to-bridge", "ext0", "--bridge", "eth0"), "interface or bridge eth0 already"),
    ],
)
def test_what_cannot_be_is_refused_and_changes_nothing(wire: Wire, words: tuple[str, ...], reason: str) -> None:
    before = wire.picture("ext0")
    with pytest.raises(AssertionError, match=reason):
        wire.overlay(*words, "--foreground")
    assert wire.picture("ext0") == before
    assert not list(wire.folder.glob("*.json"))


def test_an_interface_of_another_bridge_is_refused(wire: Wire) -> None:
    wire.node.vsctl(
        "add-br", "other", "--", "set", "bridge", "other", "datapath_type=netdev", "--", "add-port", "other", "ext0"
    )
    try:
        with pytest.raises(AssertionError, match="ext0 is in other already"):
            wire.to_bridge()
    finally:
        wire.node.vsctl("del-br", "other")
    wire.ip("link add slaves type bridge")
    wire.ip("link set ext0 master slaves")
    with pytest.raises(AssertionError, match="ext0 is in slaves already"):
        wire.to_bridge()
    wire.ip("link del slaves")


def test_an_interface_without_address_is_refused(wire: Wire) -> None:
    wire.ip("address flush dev ext0")
    wire.ip("-6 address flush dev ext0")
    with pytest.raises(AssertionError, match="ext0 has no address: is it up, and has its DHCP server answered"):
        wire.to_bridge()


def test_a_route_that_cannot_be_moved_is_named(wire: Wire) -> None:
    wire.ip("route add 198.51.100.0/24 nexthop via 192.0.2.1 dev ext0 nexthop via 192.0.2.9 dev ext0")
    with pytest.raises(AssertionError, match=r"route 198\.51\.100\.0/24 has several next hops"):
        wire.to_bridge()


def test_a_move_that_nobody_confirms_is_undone(wire: Wire) -> None:
    before = wire.picture("ext0")
    begun = time.monotonic()
    with pytest.raises(AssertionError, match="undone: nobody has confirmed it within 2 s"):
        wire.overlay("nics-to-bridge", "ext0", "--foreground", "--confirm-within", "2")
    assert time.monotonic() - begun < 15
    assert wire.picture("ext0") == before
    assert pings(wire.node, "192.0.2.1")
    assert "brext0" not in wire.node.vsctl("list-br")
    assert wire.to_bridge()["changed"], "and it can be tried again"
    on_bridge = wire.picture("brext0")
    with pytest.raises(AssertionError, match="undone: nobody has confirmed it within 2 s"):
        wire.overlay("bridge-to-nics", "--foreground", "--confirm-within", "2")
    assert wire.picture("brext0") == on_bridge == before


def test_a_move_whose_process_was_killed_is_undone(wire: Wire) -> None:
    before = wire.picture("ext0")
    options = ("--json", "--ovs-remote", f"unix:{wire.node.socket}", "--records", str(wire.folder))
    wire.node.spawn("move", sys.executable, "-m", "ovn_k8s.overlay", "nics-to-bridge", "ext0", "--foreground",
                    "--confirm-within", "60", *options)  # fmt: skip
    eventually(lambda: wire.overlay("uplink", "status", "ext0")["phase"] == "moved", "it is moved")
    wire.node.stop_daemon("move", kill=True)
    wire.overlay("uplink", "undo", "ext0")
    assert wire.picture("ext0") == before
    assert wire.overlay("uplink", "status", "ext0")["phase"] == "undone"


def test_a_power_cut_before_the_confirmation_leads_back(wire: Wire) -> None:
    wire.to_bridge()
    path = wire.folder / "ext0.json"
    path.write_text(path.read_text().replace('"state": "kept"', '"state": "moving"'))
    wire.overlay("uplink", "at-boot")
    assert "brext0" not in wire.node.vsctl("list-br"), "Open vSwitch will not take the NIC"
    assert not path.exists()


def test_a_move_is_confirmed_from_a_new_login(wire: Wire) -> None:
    options = ("--json", "--ovs-remote", f"unix:{wire.node.socket}", "--records", str(wire.folder))
    move = wire.node.spawn("move", sys.executable, "-m", "ovn_k8s.overlay", "nics-to-bridge", "ext0", "--foreground",
                           "--confirm-within", "60", *options)  # fmt: skip
    eventually(lambda: wire.overlay("uplink", "status", "ext0")["phase"] == "moved", "it is moved")
    wire.overlay("uplink", "confirm", "ext0")
    assert move.wait(10) == 0
    del wire.node.daemons["move"]
    assert wire.overlay("uplink", "status", "ext0")["phase"] == "kept"
    assert wire.picture("brext0")["addresses"]


def test_a_filter_of_the_gateway_helper_does_not_outlive_the_bridge(wire: Wire) -> None:
    """With the userspace datapath the helper drops the NIC's frames before the kernel; the NIC alone needs them."""
    before = wire.picture("ext0")
    wire.to_bridge()
    wire.node.enter("nft", "add table netdev ovn_k8s_gateway")
    hook = "{ type filter hook ingress device ext0 priority 0; policy drop; }"
    wire.node.enter("nft", f"add chain netdev ovn_k8s_gateway wire {hook}")
    wire.to_nics()
    assert wire.picture("ext0") == before
    assert pings(wire.node, "192.0.2.1")
    assert "ovn_k8s_gateway" not in wire.node.enter("nft", "list", "ruleset")
