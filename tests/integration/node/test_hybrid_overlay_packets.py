# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""Hybrid overlay with real packets: a real OVN with two Linux nodes, one a gateway, and an emulated Windows node.

Real: the rows that the watcher writes, northd, ovn-controller, Open vSwitch, the node agent and its br-ext, VXLAN on
the wire, the code of the Windows service. A model: HNS and what it does with packets.
"""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import IPv4Address, IPv4Interface, IPv4Network
from typing import Any

import pytest
from cni_caller import Agent, Sandbox
from packets import UDP_LARGEST, Place, ask
from small_ovn import Node, SmallOvn, eventually, mac, missing, run
from windows_node import WindowsNode, hcn_dataplane

from ovn_k8s.core.hybrid_flows import COOKIE
from ovn_k8s.core.hybrid_overlay import (
    ROUTER_MAC_ANNOTATION,
    SUBNET_ANNOTATION,
    LinuxNode,
    linux_rows,
    peer,
    windows_rows,
)
from ovn_k8s.core.nodes import node_from_api
from ovn_k8s.core.plan import plan
from ovn_k8s.core.rows import Row
from ovn_k8s.core.topology import Gateway, cluster_topology, exit_route, gateway_topology, node_topology
from ovn_k8s.core.topology import Node as TopologyNode
from ovn_k8s.ovsdb.client import Client
from ovn_k8s.ovsdb.remote import parse_remotes
from ovn_k8s.windows.hybrid_overlay import peers as peers_of

ROUTER = "cluster"
CLUSTER, JOIN = IPv4Network("10.244.0.0/16"), IPv4Network("100.64.0.0/16")
OUTSIDE, GATEWAY = "192.0.2.1", IPv4Interface("192.0.2.2/24")
VIP = "192.0.2.100"
TCP_LARGEST = 60_000


class Scene:
    """Nodes n1 and gw (a gateway), Windows node w1, a pod each, and a host beyond the gateway."""

    def __init__(self) -> None:
        self.ovn = SmallOvn()
        self.stops: list[Any] = [self.ovn.stop]
        self.ovn.start(router=False)
        self.nodes = {name: self.ovn.add_node(name, topology=False) for name in ("n1", "gw")}
        self.windows = WindowsNode(self.ovn, "w1", 30)
        self.stops.append(self.windows.stop)
        self.linux: dict[str, LinuxNode] = {}
        self.agents: list[Agent] = []
        self.extra: list[Row] = []
        self.with_windows = True

    def start(self) -> None:
        gateway = Gateway(
            "gw", "gw", "ext0", GATEWAY, IPv4Address(OUTSIDE), mac("192.0.2.2"), IPv4Address("100.64.0.2")
        )
        self.fixed: list[Row] = list(cluster_topology(ROUTER, JOIN))
        for name, node in self.nodes.items():
            subnet = IPv4Network(node.subnet)
            self.fixed += node_topology(ROUTER, TopologyNode(name, IPv4Address(node.address), subnet))
            join = gateway.join_address if name == "gw" else None
            self.linux[name] = LinuxNode(name, subnet, subnet.broadcast_address - 1, join)
        self.fixed += gateway_topology(ROUTER, CLUSTER, JOIN, gateway)
        self.fixed.append(exit_route(ROUTER, gateway.name, gateway.join_address))
        self.write(self.fixed)
        for node in self.nodes.values():
            eventually(lambda node=node: "br-int" in node.vsctl("list-br"), "br-int")
            node.take_underlay()
            self._management(node)
        self._outside()
        self.windows.start()
        self.update()
        for node in self.nodes.values():
            agent = Agent(node)
            agent.start()
            self.agents.append(agent)
            eventually(lambda node=node: _flows(node), f"the flows of br-ext on {node.name}")
        self.pods = {name: self._pod(agent) for name, agent in zip(self.nodes, self.agents, strict=True)}
        self.hosts = {name: self._place(node.netns, node.address) for name, node in self.nodes.items()}
        self.windows_pods = [self._place(*self.windows.add_pod(name)) for name in ("iis", "sql")]
        self.windows_host = self._place(self.windows.netns, self.windows.address)
        self.ovn.nbctl("--wait=hv", "sync")

    def documents(self) -> list[dict[str, Any]]:
        """The nodes as the API server would have them."""
        said = {
            name: (str(one.subnet), one.router_mac, self.nodes[name].address, "linux")
            for name, one in self.linux.items()
        }
        w1 = self.windows
        said[w1.name] = (str(w1.subnet), w1.router_mac, w1.address, "windows")
        return [
            {
                "metadata": {
                    "name": name,
                    "labels": {"kubernetes.io/os": system},
                    "annotations": {SUBNET_ANNOTATION: subnet, ROUTER_MAC_ANNOTATION: router_mac},
                },
                "status": {"addresses": [{"type": "InternalIP", "address": address}]},
            }
            for name, (subnet, router_mac, address, system) in said.items()
        ]

    def update(self) -> None:
        """What the watcher writes and what the Windows service learns."""
        documents = self.documents()
        windows = [peer(node_from_api(documents[-1]), self.windows.subnet)] if self.with_windows else []
        rows = list(self.fixed) + self.extra
        if windows:
            for one in self.linux.values():
                rows += linux_rows(ROUTER, one, windows)
            rows += windows_rows(ROUTER, windows[0], self.linux["gw"])
        self.write(rows)
        self.windows.round(peers_of(documents, self.windows.name))

    def write(self, rows: list[Row]) -> None:
        with Client(parse_remotes(f"unix:{self.ovn.northbound}"), "OVN_Northbound") as client:
            client.commit(plan(rows, client.snapshot(), owners=lambda owner: owner.startswith("hybrid/")))
        self.ovn.nbctl("--wait=hv", "sync")

    def stop(self) -> None:
        for stop in reversed(self.stops):
            stop()

    def _management(self, node: Node) -> None:
        """The node's own port on the pod network, as `ovn-k8s-overlay apply` makes it."""
        own, router = node.subnet.replace("0/24", "2"), node.subnet.replace("0/24", "1")
        node.vsctl("add-port", "br-int", "mgmt", "--", "set", "interface", "mgmt", "type=internal",
                   f'mac="{mac(own)}"', "mtu_request=1400", f"external_ids:iface-id=k8s-{node.name}")  # fmt: skip
        eventually(lambda: "mgmt" in node.enter("ip", "link"), "the management port")
        node.enter("ip", "link", "set", "mgmt", "address", mac(own), "mtu", "1400", "up")
        node.enter("ip", "address", "add", f"{own}/24", "dev", "mgmt")
        node.enter("ip", "route", "add", str(CLUSTER), "via", router, "dev", "mgmt")

    def _outside(self) -> None:
        """A host on the wire of the gateway."""
        gw, name = self.nodes["gw"], f"{self.ovn.prefix}-out"
        run("ip", "netns", "add", name)
        self.stops.append(lambda: run("ip", "netns", "delete", name, check=False))
        run("ip", "link", "add", "ext0", "netns", gw.netns, "type", "veth", "peer", "name", "eth0", "netns", name)
        gw.enter("ip", "link", "set", "ext0", "up")
        gw.vsctl("add-port", "br-int", "ext0", "--", "set", "interface", "ext0", "external_ids:iface-id=ext0_gw")
        run("ip", "-n", name, "address", "add", f"{OUTSIDE}/24", "dev", "eth0")
        run("ip", "-n", name, "link", "set", "eth0", "up")
        run("ip", "-n", name, "link", "set", "lo", "up")
        run("nsenter", f"--net=/run/netns/{name}", "ethtool", "-K", "eth0", "tx", "off")
        self.outside = self._place(name, OUTSIDE)

    def _pod(self, agent: Agent) -> Place:
        sandbox = Sandbox(agent.node, f"p-{agent.node.name}").create()
        self.stops.append(sandbox.delete)
        address = self.ovn.add_pod_port(agent.node, "default", sandbox.name, sandbox.uid, sandbox.host)
        reply = agent.call("ADD", sandbox)
        assert reply.status == 0, reply
        return self._place(sandbox.netns, address)

    def _place(self, netns: str, address: str) -> Place:
        place = Place(netns, address)
        self.stops.append(place.stop)
        return place


def _flows(node: Node) -> str:
    management = node.directory / "br-ext.mgmt"
    if not management.exists():
        return ""
    return run("ovs-ofctl", "-O", "OpenFlow14", "dump-flows", f"unix:{management}", f"cookie={COOKIE:#x}/-1").partition(
        "\n"
    )[2]


@pytest.fixture(scope="module")
def scene() -> Iterator[Scene]:
    if reason := missing() or hcn_dataplane.missing():
        pytest.skip(reason)
    made = Scene()
    try:
        made.start()
        yield made
    finally:
        made.stop()


@pytest.mark.parametrize("node", ["n1", "gw"])
@pytest.mark.parametrize(("kind", "size"), [("tcp", 10), ("udp", 10), ("tcp", TCP_LARGEST), ("udp", UDP_LARGEST)])
def test_linux_and_windows_pods_reach_each_other(scene: Scene, node: str, kind: str, size: int) -> None:
    """Each sees the other's own address: nothing is translated between pods."""
    linux, windows = scene.pods[node], scene.windows_pods[0]
    assert ask(linux.netns, windows.address, kind, size) == linux.address
    assert ask(windows.netns, linux.address, kind, size) == windows.address


def test_windows_pods_of_one_node_reach_each_other(scene: Scene) -> None:
    one, other = scene.windows_pods
    assert ask(one.netns, other.address) == one.address


@pytest.mark.parametrize("node", ["n1", "gw"])
def test_nodes_and_windows_pods_reach_each_other(scene: Scene, node: str) -> None:
    windows, host = scene.windows_pods[0], scene.hosts[node]
    own = scene.nodes[node].subnet.replace("0/24", "2")
    assert ask(host.netns, windows.address) == own
    assert ask(windows.netns, own) == windows.address
    # Beyond the pod network a pod has its node's address.
    assert ask(windows.netns, host.address) == scene.windows.address


def test_the_windows_node_reaches_pods(scene: Scene) -> None:
    assert ask(scene.windows.netns, scene.windows_pods[0].address)
    assert ask(scene.windows.netns, scene.pods["n1"].address)
    assert ask(scene.windows_pods[0].netns, scene.windows.address)


def test_a_service_of_windows_pods(scene: Scene) -> None:
    """From a Linux pod by its cluster address, and from outside through the gateway router."""
    address = scene.windows_pods[0].address
    scene.ovn.nbctl("--may-exist", "lb-add", "iis", f"{VIP}:8080", f"{address}:8080", "tcp")
    for node in scene.nodes:
        scene.ovn.nbctl("--may-exist", "ls-lb-add", node, "iis")
    scene.ovn.nbctl("--may-exist", "lr-lb-add", "GR_gw", "iis")
    scene.ovn.nbctl("--wait=hv", "sync")
    linux = scene.pods["n1"]
    assert ask(linux.netns, VIP) == linux.address
    # The gateway's own address in the overlay: replies must come back to it.
    assert ask(scene.outside.netns, VIP, size=TCP_LARGEST) == str(scene.linux["gw"].router_address)


def test_flows_come_back(scene: Scene) -> None:
    """Somebody deletes the flows, the bridge, ends Open vSwitch: all is there again, and packets flow."""
    node, linux, windows = scene.nodes["n1"], scene.pods["n1"], scene.windows_pods[0]
    before = len(_flows(node).splitlines())
    run("ovs-ofctl", "-O", "OpenFlow14", "del-flows", f"unix:{node.directory}/br-ext.mgmt")
    eventually(lambda: len(_flows(node).splitlines()) == before, "the flows", 15)
    node.vsctl("del-br", "br-ext")
    eventually(lambda: "br-ext" in node.vsctl("list-br"), "the bridge", 15)
    eventually(lambda: len(_flows(node).splitlines()) == before, "the flows of the new bridge", 15)
    assert ask(linux.netns, windows.address) == linux.address
    node.stop_daemon("ovs-vswitchd")
    node.start_switch()
    eventually(lambda: len(_flows(node).splitlines()) == before, "the flows after a restart", 20)
    eventually(lambda: ask(linux.netns, windows.address) == linux.address, "packets after a restart", 30)


def test_nobody_speaks_for_a_windows_pod(scene: Scene) -> None:
    """A machine of the underlay that is no node gets nothing into the pod network."""
    node = scene.nodes["n1"]
    dump = _flows(node)
    assert all(
        "tun_src=172.30.0.30" in line
        for line in dump.splitlines()
        if "in_port" in line and "tun_id=0x1001" in line and "set_tunnel" not in line and "->tun_dst" not in line
    )
    assert "actions=drop" in dump


def test_a_windows_node_moves_and_goes(scene: Scene) -> None:
    node = scene.nodes["n1"]
    linux, windows = scene.pods["n1"], scene.windows_pods[0]
    scene.with_windows = False
    scene.update()
    eventually(lambda: "br-ext" not in node.vsctl("list-br"), "the bridge goes", 15)
    assert "int" not in node.vsctl("list-ports", "br-int").split()
    scene.with_windows = True
    scene.update()
    eventually(lambda: _flows(node), "the bridge comes back", 15)
    eventually(lambda: ask(linux.netns, windows.address) == linux.address, "packets", 20)
    # The machine gets another address.
    run("ip", "-n", scene.windows.netns, "address", "add", "172.30.0.31/24", "dev", "eth0")
    before, scene.windows.address = scene.windows.address, "172.30.0.31"
    try:
        scene.update()
        eventually(lambda: "172.30.0.31" in _flows(node), "the new address", 15)
        assert before not in _flows(node)
    finally:
        scene.windows.address = before
        scene.update()
        eventually(lambda: before in _flows(node), "the old address", 15)
