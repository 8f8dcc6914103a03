# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""The helper's configuration, and what a gateway says of itself."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Interface, IPv4Network
from pathlib import Path

import pytest

from ovn_k8s.core.gateway_announcement import Announcement, announced, with_announcement
from ovn_k8s.gateway.config import ConfigError, load, parse
from ovn_k8s.gateway.host_side import HostSide, rules
from ovn_k8s.gateway.router_address import first_address

LEAST = {"node_name": "gw", "bridge": "breth0", "interface": "eth0"}


def test_the_least_that_is_needed() -> None:
    config = parse(LEAST)
    assert (config.zone, config.node_ports, config.external) == (64000, (30000, 32767), None)
    assert config.patch_port == "k8s-patch-breth0-br-int"
    assert config.router_port == "rtoe-GR_gw"
    assert config.management_socket == "/run/openvswitch/breth0.mgmt"


def test_everything() -> None:
    config = parse(
        LEAST
        | {
            "node_ports": "31000-31999",
            "tunnel_ports": [6081],
            "external": ["203.0.113.0/24"],
            "masquerade": "169.254.0.0/17",
            "conntrack": {"zone": 7},
            "openvswitch": {"directory": "/run/ovs"},
            "southbound": {"remote": "unix:/run/ovn/ovnsb_db.sock"},
            "http": {"address": "127.0.0.2", "port": 0},
        }
    )
    assert (config.zone, config.node_ports, config.tunnel_ports) == (7, (31000, 31999), (6081,))
    assert config.external == (IPv4Network("203.0.113.0/24"),)
    assert config.management_socket == "/run/ovs/breth0.mgmt"
    assert config.tls is None


@pytest.mark.parametrize(("change", "message"), [
    ({"bridge": ""}, "bridge is missing"),
    ({"bridge": "brenp175s0f0np0x"}, "longer than the 15 bytes"),
    ({"interface": 3}, "interface is missing or no text: 3"),
    ({"node_ports": "32767-30000"}, "no range of ports"),
    ({"node_ports": "0-70000"}, "no range of ports"),
    ({"tunnel_ports": [0]}, "tunnel_ports 0 is no number from 1 to 65535"),
    ({"external": "203.0.113.0/24"}, "external is not a list"),
    ({"external": ["203.0.113.1/24"]}, "host bits"),
    ({"masquerade": "169.254.169.0/30"}, "a /29"),
    ({"conntrack": {"zone": 65536}}, "conntrack.zone 65536"),
    ({"conntrack": 5}, r"write \[conntrack\]"),
    ({"southbound": {"remote": "nowhere"}}, "southbound.remote"),
    ({"southbound": {"remote": "ssl:192.0.2.1:6642"}}, "private_key is missing"),
    ({"brigde": "x"}, "brigde is no setting"),
])  # fmt: skip
def test_what_cannot_be_is_refused_by_name(change: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        parse(LEAST | change)


def test_a_missing_or_broken_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"nowhere\.toml: No such file"):
        load(tmp_path / "nowhere.toml")
    broken = tmp_path / "broken.toml"
    broken.write_text("bridge =")
    with pytest.raises(ConfigError, match=r"broken\.toml"):
        load(broken)


def test_an_announcement_leaves_items_of_others() -> None:
    first = Announcement("breth0", IPv4Interface("192.0.2.2/24"), IPv4Address("192.0.2.1"), "02:00:00:00:00:01")
    second = Announcement("breth0", IPv4Interface("192.0.2.9/32"), None, "02:00:00:00:00:01")
    options = with_announcement("enable-chassis-as-gw", first)
    assert announced(options) == first
    options = with_announcement(options, second)
    assert announced(options) == second
    assert with_announcement(options, None) == "enable-chassis-as-gw"


@pytest.mark.parametrize("options", ["", "enable-chassis-as-gw", "ovn-k8s-gateway-address=nonsense"])
def test_what_is_no_announcement_is_none(options: str) -> None:
    assert announced(options) is None


@pytest.mark.parametrize(("text", "address"), [
    ("0a:58:c0:00:02:02 192.0.2.2/24", "192.0.2.2"),
    ("0a:58:c0:00:02:02 2001:db8::1/64 192.0.2.2/24", "192.0.2.2"),
    ("0a:58:c0:00:02:02", None),
    ("", None),
])  # fmt: skip
def test_the_address_of_a_router_port(text: str, address: str | None) -> None:
    assert first_address(text) == (IPv4Address(address) if address else None)


def test_rules_replace_only_our_tables() -> None:
    text = rules(HostSide((IPv4Address("192.0.2.2"),), (30000, 32767), IPv4Address("169.254.169.4"), "eth0"))
    assert "dnat to 169.254.169.4" in text
    assert 'device "eth0"' in text
    assert "flush" not in text
    assert rules(HostSide((), (1, 2), IPv4Address("169.254.169.4"), "")).count("table") == 4
