# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""gateway-init for a shared bridge and gateway-remove, by hand."""

from __future__ import annotations

import json
import sys

import pytest
import rig
from small_ovn import eventually
from traffic import Traffic

INIT = ("gateway-init", "--bridge-interface", rig.BRIDGE, "--physical-ip", str(rig.ADDRESS),
        "--default-gw", str(rig.NEXTHOP), "--chassis", "gw")  # fmt: skip


def command(gateway: rig.Gateway, *arguments: str) -> list[str]:
    config = gateway.node.directory / "node.toml"
    config.write_text(f'[openvswitch]\nremote = "unix:{gateway.node.socket}"\n')
    output = gateway.node.enter(
        sys.executable, "-m", "ovn_k8s.overlay", arguments[0], "--json", "--config", str(config), "--node-name", "gw",
        "--nb-remote", f"unix:{gateway.ovn.northbound}", "--cluster-ip-subnet", "10.244.0.0/16", *arguments[1:],
    )  # fmt: skip
    return list(json.loads(output)["changes"])


def test_init_and_remove_on_a_shared_bridge(gateway: rig.Gateway, traffic: Traffic) -> None:
    nbctl = gateway.ovn.nbctl
    try:
        command(gateway, *INIT)
        for _ in range(9):
            assert command(gateway, *INIT) == []
        assert len(nbctl("--bare", "--columns=_uuid", "list", "nat").split()) == 1
        nbctl("lr-nat-del", "GR_gw", "snat")
        assert command(gateway, *INIT, "--check") == command(gateway, *INIT) != []
        command(gateway, *INIT, "--rampout-ip-subnets", "10.244.14.0/24,10.244.15.0/24")
        assert nbctl("lr-route-list", "cluster").count("src-ip") == 2

        removed = command(gateway, "gateway-remove")
        assert "Logical_Router GR_gw: removed" in removed
        for table in ("logical_router", "logical_switch", "logical_router_port", "logical_router_static_route", "nat"):
            assert "gateway/gw" not in nbctl("list", table)
        assert rig.PATCH not in gateway.node.vsctl("list-ports", rig.BRIDGE)
        assert "br-announce" not in gateway.node.vsctl("list-br")
        assert command(gateway, "gateway-remove") == []
        assert not traffic.eventually(traffic.internet, "tcp", str(rig.ADDRESS.ip), 9001).error
    finally:
        command(gateway, *INIT)
        eventually(lambda: rig.PATCH in gateway.node.vsctl("list-ports", rig.BRIDGE), "the patch port is there")


@pytest.mark.parametrize(
    ("address", "nexthop"), [("192.0.2.2/32", str(rig.NEXTHOP)), ("192.0.2.2/31", str(rig.NEXTHOP))]
)
def test_an_address_outside_its_routers_subnet(
    gateway: rig.Gateway, helper: rig.Helper, traffic: Traffic, address: str, nexthop: str
) -> None:
    """As clouds give them: the next hop is on the link, though in no network of the interface."""
    words = ("--physical-ip", address, "--default-gw", nexthop)
    try:
        command(gateway, "gateway-init", "--bridge-interface", rig.BRIDGE, "--chassis", "gw", *words)
        gateway.ovn.nbctl("--wait=hv", "sync")
        for protocol in ("tcp", "udp"):
            assert traffic.eventually(traffic.pod, protocol, rig.INTERNET, 9000).address == "192.0.2.2"
        assert command(gateway, "gateway-init", "--bridge-interface", rig.BRIDGE, "--chassis", "gw", *words) == []
    finally:
        command(gateway, *INIT)


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (("--bridge-interface", "brnone", "--physical-ip", "192.0.2.2/24"), "interface brnone is not there"),
        (("--bridge-interface", rig.BRIDGE, "--physical-ip", "192.0.2.300/24"), "192.0.2.300/24"),
        (("--bridge-interface", rig.BRIDGE, "--physical-ip", "2001:db8::2/64"), "2001:db8::2/64"),
        (("--bridge-interface", rig.BRIDGE, "--physical-ip", "192.0.2.2/24", "--default-gw", "router"), "router"),
    ],
)
def test_what_cannot_be_is_refused_and_changes_nothing(
    gateway: rig.Gateway, words: tuple[str, ...], reason: str
) -> None:
    before = gateway.ovn.nbctl("show")
    with pytest.raises(AssertionError, match=reason) as refused:
        command(gateway, "gateway-init", *words)
    assert "Traceback" not in str(refused.value)
    assert gateway.ovn.nbctl("show") == before
