# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""`ovn-k8s-overlay apply` and `remove` on two nodes: the underlay moves into a bridge and back, and packets flow."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from cni_caller import Agent, Sandbox
from small_ovn import Node, SmallOvn, eventually, mac


def overlay(node: Node, command: str, *options: str) -> list[str]:
    """The changes that one run reports."""
    output = node.enter(
        sys.executable, "-m", "ovn_k8s.overlay", command, "--json", "--config", str(node.directory / "node.toml"),
        "--state", str(node.directory / "host-state.json"), *options,
    )  # fmt: skip
    document = json.loads(output)
    assert document["changed"] == bool(document["changes"])
    return list(document["changes"])


def addresses(node: Node, interface: str) -> list[str]:
    listed = json.loads(node.enter("ip", "-4", "-j", "address", "show", interface, check=False) or "[]")
    return [f"{a['local']}/{a['prefixlen']}" for link in listed if link for a in link["addr_info"]]


def management_address(node: Node) -> str:
    """The node's own address in the pod network."""
    return node.subnet.replace(".0/24", ".2")


def routes(node: Node) -> set[tuple[str, str]]:
    return {(route["dst"], route["dev"]) for route in json.loads(node.enter("ip", "-4", "-j", "route"))}


def pings(node: Node, address: str) -> bool:
    return "1 received" in node.enter("ping", "-c1", "-W1", "-n", address, check=False)


@pytest.fixture(scope="module")
def pair(ovn: SmallOvn) -> Iterator[tuple[Node, Node]]:
    """Two blank nodes that have a default route through their NIC."""
    nodes = ovn.add_node("underlay-node-a"), ovn.add_node("underlay-node-b")
    for node in nodes:
        node.enter("ip", "route", "add", "default", "via", "172.30.0.1", "dev", "eth0", "metric", "50")
        Agent(node)  # writes node.toml
    yield nodes


def test_apply_moves_the_underlay_and_the_nodes_reach_each_other(pair: tuple[Node, Node]) -> None:
    first, second = pair
    announced = overlay(first, "apply", "--check")
    assert "Bridge br-phy: created" in announced
    assert addresses(first, "eth0") == [f"{first.address}/24"], "check mode changes nothing"
    assert "br-phy" not in first.vsctl("list-br")
    assert overlay(first, "apply") == announced
    overlay(second, "apply")
    assert overlay(first, "apply") == [], "the second run changes nothing"
    assert overlay(first, "apply", "--check") == []
    assert addresses(first, "eth0") == []
    assert addresses(first, "br-phy") == [f"{first.address}/24"]
    assert addresses(first, "k8s-underlay-no") == [first.subnet.replace(".0/", ".2/")]
    assert {("default", "br-phy"), ("10.244.0.0/16", "k8s-underlay-no"), ("10.96.0.0/16", "k8s-underlay-no")} <= routes(
        first
    )
    eventually(lambda: pings(first, second.address), "the underlay carries packets")
    assert "duplicates" not in first.enter("ping", "-c2", "-i0.2", second.address), "the NIC's own IP stack is quiet"
    other = second.subnet.removesuffix("0/24")
    eventually(lambda: pings(first, f"{other}2"), "a node reaches the other's address in the pod network")


def test_pods_and_nodes_reach_each_other(pair: tuple[Node, Node]) -> None:
    first, second = pair
    sandboxes = []
    agents = [Agent(node) for node in pair]
    try:
        for node, agent in zip(pair, agents, strict=True):
            agent.start()
            sandbox = Sandbox(node, f"pod-{node.name}").create()
            sandboxes.append(sandbox)
            node.ovn.add_pod_port(node, "default", sandbox.name, sandbox.uid, sandbox.host)
            assert agent.call("ADD", sandbox).status == 0
        pods = [f"{s.node.subnet.removesuffix('0/24')}{s.host}" for s in sandboxes]

        def reach(source: Sandbox, address: str) -> bool:
            return "1 received" in source.enter("ping", "-c1", "-W1", address, check=False)

        eventually(lambda: reach(sandboxes[0], pods[1]), "pod to pod across nodes")
        eventually(lambda: reach(sandboxes[0], first.address), "pod to its own node")
        eventually(lambda: reach(sandboxes[0], second.address), "pod to the other node")
        eventually(lambda: pings(first, pods[0]), "node to its own pod")
        eventually(lambda: pings(first, pods[1]), "node to a pod elsewhere")

        # The node's address must be OVN's to answer for: not the kernel's, behind its back, on the pod's veth.
        own = first.subnet.replace(".0/", ".2/").removesuffix("/24")
        eventually(lambda: reach(sandboxes[0], own), "pod to its node's address in the pod network")
        assert f"{own} dev eth0 lladdr {mac(own)}" in sandboxes[0].enter("ip", "neighbour")
    finally:
        for sandbox, agent in zip(sandboxes, agents, strict=False):
            agent.call("DEL", sandbox)
            sandbox.delete()
        for node in pair:
            node.stop_daemon("agent")


def test_services_reach_pods_of_the_same_node_and_of_another(pair: tuple[Node, Node]) -> None:
    first = pair[0]
    agent = Agent(first)
    agent.start()
    sandbox = Sandbox(first, "backend").create()
    try:
        address = first.ovn.add_pod_port(first, "default", sandbox.name, sandbox.uid, sandbox.host)
        assert agent.call("ADD", sandbox).status == 0
        first.ovn.nbctl("lb-add", "service", "10.96.0.7:80", f"{address}:8080")
        for node in pair:
            first.ovn.nbctl("ls-lb-add", node.name, "service")
        server = first.spawn("backend", "nsenter", f"--net={sandbox.path}", sys.executable, "-m", "http.server", "8080")
        connect = "import socket; socket.create_connection(('10.96.0.7', 80), 1); print('connected')"
        for node in pair:
            eventually(
                lambda n=node: "connected" in n.enter(sys.executable, "-c", connect, check=False),
                f"{node.name} reaches the service",
            )
        assert server.poll() is None
    finally:
        first.stop_daemon("backend")
        first.ovn.nbctl("--if-exists", "lb-del", "service")
        agent.call("DEL", sandbox)
        sandbox.delete()
        first.stop_daemon("agent")


def test_a_datagram_server_answers_the_nodes_pods_from_the_address_that_they_asked(pair: tuple[Node, Node]) -> None:
    """It is bound to no address, as most are; the kernel takes the source that the route to the pod names."""
    node, other = pair
    answer = str(Path(__file__).resolve().parents[1] / "services" / "service_answer.py")
    agent = Agent(node)
    config = node.directory / "node.toml"
    text = config.read_text()
    sandbox = Sandbox(node, "asks").create()
    try:
        agent.start()
        pod = node.ovn.add_pod_port(node, "default", sandbox.name, sandbox.uid, sandbox.host)
        assert agent.call("ADD", sandbox).status == 0
        config.write_text(f'node_ip = "{node.address}"\n{text}')
        node.spawn("datagrams", sys.executable, "-IS", answer, "serve", "host", "udp:9000")

        def asked() -> str:
            command = (sys.executable, "-IS", answer, "ask", "udp", node.address, "9000")
            return sandbox.enter(*command, check=False).strip()

        eventually(lambda: asked() == "silence", "it listens, and answers from the management address")
        announced = overlay(node, "apply", "--check")
        inside, router = "k8s-underlay-no", node.subnet.replace(".0/24", ".1")
        ways = [
            f"{inside}: route {network} via {router}"
            for network in ("10.244.0.0/16", "100.64.0.0/16", "169.254.0.0/29")
        ]
        assert announced == [
            f"{inside}: route {node.subnet} src {node.address}",
            *(f"{way} src {node.address}" for way in ways),
            *(f"{way} metric 1024" for way in ways),
            "packet filter: table ovn_k8s_node written",
            "br-phy: forwards node ports",
            f"{inside}: forwards node ports",
        ]
        assert overlay(node, "apply") == announced
        assert overlay(node, "apply") == []
        eventually(lambda: asked() == f"host {pod}", "the pod is answered")
        eventually(
            lambda: pings(node, management_address(other)), "the other node's address in the pod network still answers"
        )

        # A network manager that starts anew takes the address for a while, and the kernel takes what names it.
        node.enter("ip", "address", "delete", f"{node.address}/24", "dev", "br-phy")
        assert f"src {node.address}" not in node.enter("ip", "route")
        node.enter("ip", "address", "add", f"{node.address}/24", "dev", "br-phy")
        eventually(lambda: pings(node, pod), "the node still reaches its pods")
        assert announced[0] in overlay(node, "apply")
        eventually(lambda: asked() == f"host {pod}", "the pod is answered again")

        node.enter("nft", "flush", "chain", "ip", "ovn_k8s_node", "transit")
        assert overlay(node, "apply") == ["packet filter: table ovn_k8s_node written"], (
            "what somebody changed comes back"
        )

        config.write_text(text)
        assert f"{inside}: route {node.subnet} src {management_address(node)}" in overlay(node, "apply")
        assert overlay(node, "apply") == []
        assert "dnat" not in node.enter("nft", "list", "table", "ip", "ovn_k8s_node"), "no address, no node ports"
    finally:
        config.write_text(text)
        node.stop_daemon("datagrams")
        agent.call("DEL", sandbox)
        sandbox.delete()
        node.stop_daemon("agent")


def test_apply_after_openvswitch_was_restarted(pair: tuple[Node, Node]) -> None:
    """The userspace datapath's interfaces outlive a restart; where they do not, `apply` restores everything."""
    first, second = pair
    first.stop_daemon("ovs-vswitchd")
    first.start_switch()
    eventually(lambda: pings(first, second.address), "the underlay is back by itself")
    assert overlay(first, "apply") == []
    first.stop_daemon("ovs-vswitchd")
    for interface in ("br-phy", "k8s-underlay-no"):
        first.enter("ip", "link", "delete", interface)
    first.start_switch()
    changes = overlay(first, "apply")
    assert f"br-phy: address {first.address}/24" in changes
    assert ("default", "br-phy") in routes(first)
    eventually(lambda: pings(first, second.address), "the underlay is back")
    assert overlay(first, "apply") == []


def test_remove_gives_everything_back(pair: tuple[Node, Node]) -> None:
    first, _ = pair
    eventually(lambda: "type: geneve" in first.vsctl("show"), "a tunnel")
    # Without the southbound database it ends like this, and leaves its ports on the bridge, which is its own.
    first.stop_daemon("ovn-controller", kill=True)
    announced = overlay(first, "remove", "--check")
    assert addresses(first, "br-phy") == [f"{first.address}/24"]
    assert set(overlay(first, "remove")) >= {change for change in announced if "Bridge" in change}
    assert addresses(first, "eth0") == [f"{first.address}/24"]
    assert first.enter("sysctl", "-n", "net.ipv4.conf.eth0.rp_filter").strip() == "0"
    assert routes(first) == {("default", "eth0"), ("172.30.0.0/24", "eth0")}
    assert "br-phy" not in first.vsctl("list-br")
    assert first.vsctl("list-ports", "br-int") == ""
    assert first.enter("nft", "list", "tables").strip() == ""
    assert not (first.directory / "host-state.json").exists()
    assert overlay(first, "remove") == []
    first.start_controller()
    assert f"br-phy: address {first.address}/24" in overlay(first, "apply"), "and it can be applied again"


def test_gateway_interface(pair: tuple[Node, Node]) -> None:
    node = pair[1]
    node.enter("ip", "link", "add", "ext0", "type", "veth", "peer", "name", "outside")
    node.enter("ip", "address", "add", "192.0.2.2/24", "dev", "ext0")
    node.enter("ip", "link", "set", "ext0", "up")
    config = node.directory / "node.toml"
    config.write_text(config.read_text() + '[gateway]\ninterface = "ext0"\n')
    overlay(node, "apply")
    assert addresses(node, "ext0") == []
    assert node.vsctl("get", "interface", "ext0", "external_ids:iface-id") == f"ext0_{node.name}"
    assert overlay(node, "apply") == []
    overlay(node, "remove")
    assert addresses(node, "ext0") == ["192.0.2.2/24"]


def test_missing_interface_is_named(pair: tuple[Node, Node]) -> None:
    node = pair[0]
    config = node.directory / "node.toml"
    text = config.read_text()
    config.write_text(text.replace('interface = "eth0"', 'interface = "eth7"'))
    try:
        with pytest.raises(AssertionError, match=r"interface eth7 is not there; this machine has .*eth0"):
            overlay(node, "apply")
    finally:
        config.write_text(text)


def test_static_ipv6_addresses_are_not_lost_silently(pair: tuple[Node, Node]) -> None:
    node = pair[1]
    node.enter("ip", "address", "add", "2001:db8::12/64", "dev", "eth0")
    with pytest.raises(AssertionError, match="eth0 has the IPv6 address 2001:db8::12/64"):
        overlay(node, "apply")
    node.enter("ip", "address", "del", "2001:db8::12/64", "dev", "eth0")
    assert overlay(node, "apply", "--check")


def test_remove_on_a_machine_that_never_was_configured(pair: tuple[Node, Node], tmp_path: Path) -> None:
    node = pair[0]
    nothing = ("--config", str(tmp_path / "node.toml"), "--state", str(tmp_path / "state.json"))
    assert overlay(node, "remove", *nothing) == []
    text = (node.directory / "node.toml").read_text().replace(str(node.socket), str(tmp_path / "no-ovs.sock"))
    (tmp_path / "node.toml").write_text(text)
    assert overlay(node, "remove", *nothing) == [], "Open vSwitch was never there"
