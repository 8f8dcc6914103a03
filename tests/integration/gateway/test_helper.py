# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""What restarts, changes and is broken by hand beside the helper, while people work on the node."""

from __future__ import annotations

import time
from collections.abc import Callable
from ipaddress import IPv4Interface

import pytest
import rig
from small_ovn import eventually
from traffic import Traffic

from ovn_k8s.core.gateway_announcement import announced
from ovn_k8s.gateway.helper import CHECK_INTERVAL_S

ADDRESS = str(rig.ADDRESS.ip)
LONGEST_PAUSE_S = 8.0
"""What a session may stand still while Open vSwitch restarts: TCP's own retransmission doubles its delay."""


def session(traffic: Traffic, seconds: float):
    """Somebody outside who is logged in to the node."""
    return traffic.begin(traffic.internet, "tcp", ADDRESS, 9001, seconds=seconds)


def _restart_switch(gateway: rig.Gateway, helper: rig.Helper) -> None:
    gateway.restart_switch()


def _crash_switch(gateway: rig.Gateway, helper: rig.Helper) -> None:
    gateway.restart_switch(kill=True)


def _restart_database(gateway: rig.Gateway, helper: rig.Helper) -> None:
    gateway.node.stop_daemon("ovsdb-server")
    gateway.node.socket.unlink(missing_ok=True)
    gateway.node.start_database()


def _kill_helper(gateway: rig.Gateway, helper: rig.Helper) -> None:
    helper.stop(kill=True)
    time.sleep(0.5)
    helper.start()


def _delete_flows(gateway: rig.Gateway, helper: rig.Helper) -> None:
    gateway.ofctl("del-flows")


def _change_a_flow(gateway: rig.Gateway, helper: rig.Helper) -> None:
    gateway.ofctl("mod-flows", "table=1,actions=drop")


@pytest.mark.parametrize(
    "event", [_restart_switch, _crash_switch, _restart_database, _kill_helper, _delete_flows, _change_a_flow]
)
def test_a_session_on_the_node_stays(
    gateway: rig.Gateway, helper: rig.Helper, traffic: Traffic, event: Callable[[rig.Gateway, rig.Helper], None]
) -> None:
    flows = len(helper.flows())
    talk = session(traffic, 4)
    time.sleep(1)
    event(gateway, helper)
    result = talk.result()
    assert not result.error
    assert result.longest < LONGEST_PAUSE_S
    helper.wait_ready()
    eventually(lambda: len(helper.flows()) == flows, "the flows are back")
    assert traffic.eventually(traffic.pod, "tcp", rig.INTERNET, 9000).address == ADDRESS


def test_deleted_flows_come_back_at_once(gateway: rig.Gateway, helper: rig.Helper) -> None:
    flows = len(helper.flows())
    began = time.monotonic()
    gateway.ofctl("del-flows")
    eventually(lambda: len(helper.flows()) == flows, "the flows are back")
    assert time.monotonic() - began < CHECK_INTERVAL_S, "nobody waits for the next check"
    assert helper.metric('ovn_k8s_gateway_flow_writes_total{reason="tampered"}') >= 1


def test_flows_of_others_stay(gateway: rig.Gateway, helper: rig.Helper) -> None:
    gateway.ofctl("add-flow", "cookie=0x7,table=9,priority=3,actions=drop")
    gateway.ofctl("del-flows", f"cookie={rig.COOKIE:#x}/-1")
    eventually(helper.flows, "the flows are back")
    assert "cookie=0x7" in gateway.ofctl("dump-flows")
    gateway.ofctl("del-flows", "cookie=0x7/-1")


def test_the_helper_comes_before_open_vswitch(gateway: rig.Gateway, traffic: Traffic) -> None:
    gateway.node.stop_daemon("ovs-vswitchd")
    helper = rig.Helper(gateway)
    helper.start()
    try:
        eventually(lambda: helper.get("/healthz")[0] == 200, "the helper answers")
        status, text = helper.get("/readyz")
        assert (status, "ovs-vswitchd" in text) == (503, True)
        gateway.node.start_switch()
        gateway.configure_bridge()
        helper.wait_ready()
        assert not traffic.eventually(traffic.pod, "tcp", rig.INTERNET, 9000).error
    finally:
        helper.stop()


def test_without_helper_everybody_is_reachable(gateway: rig.Gateway, helper: rig.Helper, traffic: Traffic) -> None:
    helper.stop()
    for namespace, address, port in (
        (traffic.internet, ADDRESS, 9001),
        (traffic.node, rig.INTERNET, 9000),
        (traffic.pod, rig.INTERNET, 9000),
    ):
        assert not traffic.eventually(namespace, "tcp", address, port).error


def test_clear_leaves_a_switch_also_when_all_flows_were_deleted(
    gateway: rig.Gateway, helper: rig.Helper, traffic: Traffic
) -> None:
    """By hand, and with them the one that makes a bridge without controller a switch, which nobody puts back."""
    gateway.ofctl("del-flows")
    eventually(helper.flows, "the flows are back")
    talk = session(traffic, 3)
    helper.stop()
    assert "is a switch again" in helper.command("clear")
    assert helper.flows() == []
    assert "169.254.169" not in gateway.node.enter("ip", "route")
    assert not talk.result().error
    for namespace, address, port in ((traffic.internet, ADDRESS, 9001), (traffic.node, rig.INTERNET, 9000)):
        assert not traffic.eventually(namespace, "tcp", address, port).error
    assert helper.command("clear") == ""
    assert rig.PATCH not in gateway.node.vsctl("list-ports", rig.BRIDGE)
    assert "br-announce" not in gateway.node.vsctl("list-br")
    assert "br-announce" not in gateway.node.vsctl("get", "open_vswitch", ".", "external_ids")


def test_clear_leaves_flows_of_others(gateway: rig.Gateway, helper: rig.Helper) -> None:
    gateway.ofctl("add-flow", "cookie=0x7,priority=3,actions=NORMAL")
    gateway.ofctl("del-flows", "cookie=0/-1")
    helper.stop()
    assert "switch" not in helper.command("clear")
    (only,) = [line for line in gateway.ofctl("dump-flows").splitlines() if "actions" in line]
    assert "cookie=0x7" in only
    gateway.ofctl("del-flows", "cookie=0x7/-1")
    helper.command("clear")


def test_after_a_crash_of_open_vswitch_the_node_is_reachable_without_helper(
    gateway: rig.Gateway, helper: rig.Helper, traffic: Traffic
) -> None:
    helper.stop(kill=True)
    _crash_switch(gateway, helper)
    assert not traffic.eventually(traffic.internet, "tcp", ADDRESS, 9001).error


def test_a_removed_patch_port_comes_back(gateway: rig.Gateway, helper: rig.Helper, traffic: Traffic) -> None:
    gateway.node.vsctl("del-port", rig.PATCH)
    assert not traffic.eventually(traffic.internet, "tcp", ADDRESS, 9001).error
    assert not traffic.eventually(traffic.pod, "tcp", rig.INTERNET, 9000).error
    assert gateway.node.vsctl("get", "interface", rig.PATCH, "options:peer") == rig.PATCH_PEER


def test_a_new_number_of_the_nic_is_followed(gateway: rig.Gateway, helper: rig.Helper, traffic: Traffic) -> None:
    gateway.node.vsctl("del-port", rig.NIC)
    assert "has no port ext0" in _eventually_unready(helper)
    gateway.node.vsctl("add-port", rig.BRIDGE, rig.NIC, "--", "set", "interface", rig.NIC, "ofport_request=77")
    helper.wait_ready()
    assert gateway.ofport(rig.NIC) == 77
    assert not traffic.eventually(traffic.internet, "tcp", ADDRESS, 9001).error
    assert not traffic.eventually(traffic.pod, "tcp", rig.INTERNET, 9000).error


def test_a_nic_that_left_its_bridge_is_heard_again(gateway: rig.Gateway, helper: rig.Helper, traffic: Traffic) -> None:
    """The helper sees to it itself: its filter may come after the hand that took the NIC out and removed the filter."""

    def filtered() -> bool:
        return f'device "{rig.NIC}"' in gateway.node.enter("nft", "list", "ruleset")

    eventually(filtered, "the NIC is the bridge's alone")
    gateway.node.vsctl("del-port", rig.NIC)
    eventually(lambda: not filtered(), "the NIC is heard")
    gateway.node.vsctl("add-port", rig.BRIDGE, rig.NIC)
    eventually(filtered, "the NIC is the bridge's alone")
    gateway.node.vsctl("del-br", rig.BRIDGE)
    eventually(lambda: not filtered(), "the NIC is heard")
    gateway.make_bridge()
    eventually(filtered, "the NIC is the bridge's alone")
    assert not traffic.eventually(traffic.pod, "tcp", rig.INTERNET, 9000).error


def test_a_network_manager_that_removes_what_is_not_its_own(gateway: rig.Gateway, helper: rig.Helper) -> None:
    """As systemd-networkd does when it configures an interface anew: routes and neighbours."""

    def there() -> bool:
        route = "169.254.169.4" in gateway.node.enter("ip", "route", "show", "dev", rig.BRIDGE)
        return route and "PERMANENT" in gateway.node.enter("ip", "neighbour", "show", "169.254.169.4")

    eventually(there, "route and neighbour are there")
    gateway.node.enter("ip", "neighbour", "delete", "169.254.169.4", "dev", rig.BRIDGE)
    gateway.node.enter("ip", "route", "delete", "169.254.169.4")
    eventually(there, "route and neighbour are back")


def test_a_packet_filter_that_somebody_empties(gateway: rig.Gateway, helper: rig.Helper) -> None:
    """As the service nftables does whenever it starts, reloads or ends."""

    def there() -> bool:
        rules = gateway.node.enter("nft", "list", "ruleset")
        return f'device "{rig.NIC}"' in rules and "dnat to 169.254.169.4" in rules

    eventually(there, "the packet filter is there")
    for words in ("flush ruleset", "delete table ip ovn_k8s_gateway", "flush chain ip ovn_k8s_gateway output"):
        gateway.node.enter("nft", *words.split())
        eventually(there, f"the packet filter is back after {words}")


def test_a_new_address_serves_before_and_after_ovn_knows_it(
    gateway: rig.Gateway, helper: rig.Helper, traffic: Traffic
) -> None:
    new = IPv4Interface("192.0.2.40/24")
    backend = f"{rig.POD}:9002"
    gateway.ovn.nbctl("lb-add", "np", f"{ADDRESS}:30080", backend, "tcp", "--", "lr-lb-add", "GR_gw", "np")
    try:
        _change_address(gateway, rig.ADDRESS, new)
        assert not traffic.eventually(traffic.internet, "tcp", str(new.ip), 9001).error
        assert traffic.eventually(traffic.pod, "tcp", rig.INTERNET, 9000).address == str(new.ip)
        assert traffic.eventually(traffic.node, "tcp", rig.INTERNET, 9000).address == str(new.ip)
        assert not traffic.eventually(traffic.internet, "tcp", str(new.ip), 30080).error
        # A gateway never writes the northbound database: it says its address where the masters can read it.
        eventually(lambda: _announced(gateway) == str(new), "the address is announced")
        gateway.lay_out(new)
        eventually(lambda: "set_field:192.0.2.2" not in gateway.ofctl("dump-flows"), "OVN knows the address")
        assert traffic.eventually(traffic.pod, "tcp", rig.INTERNET, 9000).address == str(new.ip)
    finally:
        gateway.ovn.nbctl("lb-del", "np")
        _change_address(gateway, new, rig.ADDRESS)
        gateway.lay_out(rig.ADDRESS)
        helper.wait_ready()


def test_a_second_address_changes_nothing_but_is_the_nodes(
    gateway: rig.Gateway, helper: rig.Helper, traffic: Traffic
) -> None:
    gateway.node.enter("ip", "address", "add", "192.0.2.50/24", "dev", rig.BRIDGE)
    try:
        assert not traffic.eventually(traffic.internet, "tcp", "192.0.2.50", 9001).error
        assert traffic.eventually(traffic.pod, "tcp", rig.INTERNET, 9000).address == ADDRESS
    finally:
        gateway.node.enter("ip", "address", "delete", "192.0.2.50/24", "dev", rig.BRIDGE)


def test_explain_on_the_gateway(helper: rig.Helper) -> None:
    text = helper.command("explain", "--from", "wire", "tcp", "203.0.113.9:51000", f"{ADDRESS}:30080")
    assert "it goes to the pods" in text
    assert "node-port-tcp-30080" in text
    assert helper.command("explain", "tcp", "203.0.113.9", "nonsense", check=False) == ""
    assert "node-default" in helper.command("flows")


def test_status_pages(helper: rig.Helper) -> None:
    assert helper.get("/healthz") == (200, "ok\n")
    assert helper.metric("ovn_k8s_gateway_flows") == len(helper.flows())
    assert helper.metric("ovn_k8s_gateway_connected") == 1


def _change_address(gateway: rig.Gateway, old: IPv4Interface, new: IPv4Interface) -> None:
    """As a DHCP client does when the server gives another address: at no moment is there none."""
    gateway.node.enter("ip", "address", "add", str(new), "dev", rig.BRIDGE)
    gateway.node.enter("ip", "address", "delete", str(old), "dev", rig.BRIDGE)
    gateway.node.enter("ip", "address", "replace", str(new), "dev", rig.BRIDGE)
    gateway.node.enter("ip", "route", "replace", "default", "via", str(rig.NEXTHOP))


def _announced(gateway: rig.Gateway) -> str:
    options = gateway.ovn.sbctl("get", "chassis", "gw", "other_config:ovn-cms-options").strip('"')
    found = announced(options)
    return str(found.address) if found else ""


def _eventually_unready(helper: rig.Helper) -> str:
    eventually(lambda: helper.get("/readyz")[0] == 503, "the helper says what is wrong")
    return helper.get("/readyz")[1]
