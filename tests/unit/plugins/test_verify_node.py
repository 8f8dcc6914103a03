# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""A node's routes, and its conversations with a real server."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path

import pytest
from ansible_collections.ovn_k8s.cluster.plugins.module_utils.verify.dialogue import ask, ask_many
from ansible_collections.ovn_k8s.cluster.plugins.module_utils.verify.echo_server import EchoServer
from ansible_collections.ovn_k8s.cluster.plugins.module_utils.verify.node_state import (
    Route,
    check_routes,
    parse_routes,
    read_settings,
)
from ansible_collections.ovn_k8s.cluster.plugins.modules.verify_node import ask_for_node_ports

PROC_NET_ROUTE = """\
Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT
mgmt0\t00000000\t01001FAC\t0003\t0\t0\t0\t00000000\t0\t0\t0
k8s-linux1\t0000F40A\t0101F40A\t0003\t0\t0\t0\t0000FFFF\t0\t0\t0
k8s-linux1\t0001F40A\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0
k8s-linux1\t0000600A\t0101F40A\t0003\t0\t0\t0\t0000FFFF\t0\t0\t0
old\t0000630A\t0101F40A\t0000\t0\t0\t0\t0000FFFF\t0\t0\t0
"""
SETTINGS = """
node_name = "linux1"
cluster_cidr = "10.244.0.0/16"
service_cidr = "10.96.0.0/16"
node_subnet = "10.244.1.0/24"
mtu = 1400
"""


@pytest.fixture
def settings(tmp_path: Path):  # type: ignore[no-untyped-def]
    (tmp_path / "node.toml").write_text(SETTINGS, encoding="utf-8")
    return read_settings(str(tmp_path / "node.toml"))


def test_the_subnet_of_a_machine_that_joined_by_itself(tmp_path: Path) -> None:
    (tmp_path / "node.toml").write_text(SETTINGS.replace('node_subnet = "10.244.1.0/24"\n', ""), encoding="utf-8")
    (tmp_path / "node-subnet").write_text("10.244.9.0/24\n", encoding="ascii")
    assert str(read_settings(str(tmp_path / "node.toml"), str(tmp_path / "node-subnet")).address) == "10.244.9.2"


def test_routes_of_proc() -> None:
    routes = parse_routes(PROC_NET_ROUTE)
    assert routes[0] == Route(IPv4Network("0.0.0.0/0"), IPv4Address("172.31.0.1"), "mgmt0")
    assert routes[1] == Route(IPv4Network("10.244.0.0/16"), IPv4Address("10.244.1.1"), "k8s-linux1")
    assert routes[2] == Route(IPv4Network("10.244.1.0/24"), None, "k8s-linux1")
    assert len(routes) == 4


def test_good_routes(settings) -> None:  # type: ignore[no-untyped-def]
    result = check_routes("linux1", settings, parse_routes(PROC_NET_ROUTE), IPv4Address("10.244.1.2"), 1400)
    assert (result.status, result.detail) == ("ok", "10.244.1.2, 10.244.0.0/16, 10.96.0.0/16 via 10.244.1.1")


def test_bad_routes(settings) -> None:  # type: ignore[no-untyped-def]
    text = "\n".join(line for line in PROC_NET_ROUTE.splitlines() if "600A" not in line)
    result = check_routes("linux1", settings, parse_routes(text), None, 1500)
    assert result.status == "failed"
    assert "k8s-linux1 has the address None, expected 10.244.1.2" in result.detail
    assert "k8s-linux1 has MTU 1500, expected 1400" in result.detail
    assert "expected 10.96.0.0/16 via 10.244.1.1 dev k8s-linux1, found none" in result.detail
    assert result.hint


@pytest.fixture
def server() -> Iterator[EchoServer]:
    running = EchoServer("linux1", "127.0.0.1", 0)
    running.start()
    yield running
    running.close()


def test_the_next_node_is_asked_for_node_ports(server: EchoServer) -> None:
    nodes = [{"name": "linux1", "address": "127.0.0.1"}, {"name": "linux2", "address": "127.0.0.2"}]
    ports = {"tcp": server.port, "udp": server.port}
    (result,) = ask_for_node_ports("linux2", nodes, ports, 1)
    assert (result.target, result.status) == ("linux1", "ok")
    assert result.detail == "tcp and udp, from 127.0.0.1"
    (result,) = ask_for_node_ports("linux1", nodes, ports, 1)
    assert (result.target, result.status) == ("linux2", "failed")
    assert "ovn_k8s_node" in result.hint
    assert ask_for_node_ports("linux1", nodes[:1], ports, 1) == []


@pytest.mark.parametrize("protocol", ["tcp", "udp"])
def test_conversation(server: EchoServer, protocol: str) -> None:
    result = ask(protocol, "127.0.0.1", server.port, attempts=2)
    assert result["ok"]
    assert result["attempts"] == 1
    answer = result["answer"]
    assert (answer["hostname"], answer["protocol"], answer["client_ip"]) == ("linux1", protocol, "127.0.0.1")
    assert (answer["size"], answer["payload"]) == (5, "hello")


def test_nobody_there(server: EchoServer) -> None:
    port = server.port
    server.close()
    results = ask_many([("tcp", "127.0.0.1", port), ("udp", "127.0.0.1", port)], attempts=2)
    assert [result["ok"] for result in results] == [False, False]
    assert results[0]["attempts"] == 2
    assert "refused" in results[0]["error"]
