# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""Whose packets are whose on a shared NIC: real connections through a real OVN and the helper's flows."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import IPv4Address
from pathlib import Path

import pytest
import rig
from traffic import Traffic

from ovn_k8s.core.gateway_flows import COOKIE, SharedBridge, gateway_flows
from ovn_k8s.core.openflow import flow_text
from ovn_k8s.openflow.channel import Channel, Refused

ADDRESS = str(rig.ADDRESS.ip)
NODE_PORT, UDP_NODE_PORT = 30080, 32767
IN_SUBNET, ROUTED = "192.0.2.77", "203.0.113.5"


@pytest.fixture(scope="module")
def services(gateway: rig.Gateway) -> Iterator[None]:
    """Load balancers of the gateway router: node ports, an address of the NIC's subnet, one that is routed to it."""
    backend = f"{rig.POD}:9002"
    for name, address, protocol in (
        ("np-tcp", f"{ADDRESS}:{NODE_PORT}", "tcp"),
        ("np-udp", f"{ADDRESS}:{UDP_NODE_PORT}", "udp"),
        ("lb", f"{IN_SUBNET}:80", "tcp"),
        ("external", f"{ROUTED}:80", "tcp"),
    ):
        gateway.ovn.nbctl("lb-add", name, address, backend, protocol, "--", "lr-lb-add", "GR_gw", name)
    gateway.outside("ip", "route", "add", f"{ROUTED}/32", "via", ADDRESS)
    yield
    gateway.outside("ip", "route", "delete", f"{ROUTED}/32")
    for name in ("np-tcp", "np-udp", "lb", "external"):
        gateway.ovn.nbctl("lb-del", name)


@pytest.mark.parametrize("protocol", ["tcp", "udp"])
def test_node_and_pod_leave_with_the_nodes_address(helper: rig.Helper, traffic: Traffic, protocol: str) -> None:
    for namespace in (traffic.node, traffic.pod):
        assert traffic.eventually(namespace, protocol, rig.INTERNET, 9000).address == ADDRESS


@pytest.mark.parametrize("protocol", ["tcp", "udp"])
def test_from_outside_the_node_is_the_node(helper: rig.Helper, traffic: Traffic, protocol: str) -> None:
    assert not traffic.eventually(traffic.internet, protocol, ADDRESS, 9001).error


@pytest.mark.parametrize("protocol", ["tcp", "udp"])
@pytest.mark.parametrize(("first", "port"), [("node", 45000), ("pod", 45100), ("node", 30100), ("pod", 30200)])
def test_node_and_pod_use_one_source_port_at_once(
    helper: rig.Helper, traffic: Traffic, protocol: str, port: int, first: str
) -> None:
    """Each port once: Open vSwitch 3.1's userspace datapath does not survive it twice, whoever translates."""
    traffic.eventually(traffic.pod, protocol, rig.INTERNET, 9000)
    order = [traffic.node, traffic.pod] if first == "node" else [traffic.pod, traffic.node]
    talks = [
        traffic.begin(namespace, protocol, rig.INTERNET, 9000, local_port=port, seconds=1.5) for namespace in order
    ]
    answers = [talk.result() for talk in talks]
    assert [answer.error for answer in answers] == ["", ""]
    sources = [answer.seen for answer in answers]
    assert all(len(seen) == 1 for seen in sources), sources
    assert sources[0] != sources[1]


def test_services_from_outside(helper: rig.Helper, traffic: Traffic, services: None) -> None:
    for protocol, address, port in (
        ("tcp", ADDRESS, NODE_PORT),
        ("udp", ADDRESS, UDP_NODE_PORT),
        ("tcp", IN_SUBNET, 80),
        ("tcp", ROUTED, 80),
    ):
        assert not traffic.eventually(traffic.internet, protocol, address, port).error


def test_the_node_reaches_a_service_of_its_subnet(helper: rig.Helper, traffic: Traffic, services: None) -> None:
    assert not traffic.eventually(traffic.node, "tcp", IN_SUBNET, 80).error


@pytest.mark.parametrize(("protocol", "port"), [("tcp", NODE_PORT), ("udp", UDP_NODE_PORT)])
def test_the_node_reaches_its_own_node_port(
    helper: rig.Helper, traffic: Traffic, services: None, protocol: str, port: int
) -> None:
    assert not traffic.eventually(traffic.node, protocol, ADDRESS, port).error


def test_an_unused_node_port_is_not_the_nodes(helper: rig.Helper, traffic: Traffic) -> None:
    """The node does not even answer that nobody listens."""
    before = helper.node.enter("cat", "/proc/net/snmp")
    answer = traffic.ask(traffic.internet, "udp", ADDRESS, 30999)
    assert answer.error
    after = helper.node.enter("cat", "/proc/net/snmp")
    ports = [next(line for line in text.splitlines() if line.startswith("Udp: ") and line[5].isdigit()).split()[2]
             for text in (before, after)]  # fmt: skip
    assert ports[0] == ports[1]


def test_no_masquerade_address_reaches_the_wire(helper: rig.Helper, traffic: Traffic, gateway: rig.Gateway) -> None:
    capture = gateway.spawn(traffic.internet, "tcpdump", "-nni", "net0", "-lc1", "net", "169.254.169.0/29")
    traffic.eventually(traffic.pod, "tcp", rig.INTERNET, 9000)
    # A packet of no connection: it cannot be translated.
    gateway.inside(
        "python3", "-c", "import socket,struct\n"
        "s=socket.socket(socket.AF_INET,socket.SOCK_RAW,socket.IPPROTO_TCP)\n"
        f"s.sendto(struct.pack('!HHLLBBHHH',41000,9000,1,1,0x50,0x12,100,0,0),('{rig.INTERNET}',0))",
    )  # fmt: skip
    assert capture.poll() is None
    capture.terminate()
    output, _ = capture.communicate(timeout=10)
    assert "169.254.169" not in output.decode().split("listening", 1)[1]


def test_a_ping_of_the_node_and_of_the_pod(helper: rig.Helper, gateway: rig.Gateway) -> None:
    for run in (gateway.node.enter, gateway.inside):
        run("ping", "-c2", "-i0.2", "-W2", rig.INTERNET)
    gateway.outside("ping", "-c2", "-i0.2", "-W2", ADDRESS)


def test_ipv6_of_the_node(helper: rig.Helper, gateway: rig.Gateway) -> None:
    gateway.outside("ip", "address", "add", "2001:db8::1/64", "dev", "net0", "nodad")
    gateway.node.enter("ip", "address", "add", "2001:db8::2/64", "dev", rig.BRIDGE, "nodad")
    gateway.node.enter("ping", "-6", "-c2", "-i0.2", "-W2", "2001:db8::1")
    gateway.outside("ping", "-6", "-c2", "-i0.2", "-W2", "2001:db8::2")


@pytest.mark.parametrize("logical", [None, "192.0.2.99"])
def test_what_we_encode_is_what_ovs_ofctl_encodes(gateway: rig.Gateway, tmp_path: Path, logical: str | None) -> None:
    gateway.ofctl("del-flows")
    bridge = SharedBridge(1, 2, rig.MAC, (rig.ADDRESS.ip,), logical_address=IPv4Address(logical) if logical else None)
    flows = gateway_flows(bridge)
    with Channel(f"{gateway.node.directory}/{rig.BRIDGE}.mgmt") as channel:
        channel.replace(flows, COOKIE)
        ours = _dumped(gateway)
        assert len(ours) == len(flows) == len(channel.flows(COOKIE))
    gateway.ofctl("del-flows")
    text = tmp_path / "flows"
    text.write_text("\n".join(map(flow_text, flows)))
    gateway.ofctl("add-flows", str(text))
    assert _dumped(gateway) == ours


def test_a_bundle_with_a_wrong_flow_changes_nothing(gateway: rig.Gateway) -> None:
    flows = gateway_flows(SharedBridge(1, 2, rig.MAC, (rig.ADDRESS.ip,)))
    wrong = next(flow for flow in flows if flow.name == "pods-commit")
    with Channel(f"{gateway.node.directory}/{rig.BRIDGE}.mgmt") as channel:
        channel.replace(flows, COOKIE)
        with pytest.raises(Refused):
            channel.replace([type(wrong)("x", "", 0, 1, type(wrong.match)(), wrong.actions)], COOKIE)
        assert len(channel.flows(COOKIE)) == len(flows)


def _dumped(gateway: rig.Gateway) -> list[str]:
    lines = gateway.ofctl("dump-flows").splitlines()
    return sorted(line.split(",", 1)[1] if "cookie" in line else line for line in lines if "actions" in line)
