# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""A Windows node with Open vSwitch and OVN: the code of its service against a real OVN and a real Open vSwitch.

Real: both databases, ovn-controller, ports and packets. Models: HNS, and Open vSwitch for Windows, for which the one
for Linux stands.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path

import pytest
from cni_caller import Agent, Sandbox
from packets import UDP_LARGEST, Place, ask
from small_ovn import SmallOvn, eventually, missing
from windows_node import ModelHcn, WindowsNode, hcn_dataplane

from lab.windows.docker_engine import Engine, Server
from lab.windows.hcn_model import Model, State
from ovn_k8s.cni.protocol import CniError, Request
from ovn_k8s.host.config import Southbound
from ovn_k8s.windows.agent import Agent as WindowsAgent
from ovn_k8s.windows.config import OVS, TRANSPARENT_NETWORK, NodeConfig
from ovn_k8s.windows.docker_api import Docker
from ovn_k8s.windows.docker_pods import DockerPods
from ovn_k8s.windows.logical_ports import LogicalPorts
from ovn_k8s.windows.pod_endpoint import Endpoints
from ovn_k8s.windows.pod_network import PodNetwork
from ovn_k8s.windows.sandboxes import Sandboxes


class OvsNode:
    """The Windows node."""

    def __init__(self, ovn: SmallOvn, folder: Path) -> None:
        self.node = ovn.add_node("w1")
        eventually(lambda: "br-int" in self.node.vsctl("list-br"), "br-int")
        self.node.take_underlay()
        self.model = Model(state=State(adapters={"Ethernet": self.node.address}))
        self.library = ModelHcn(self.model)
        self.dataplane = hcn_dataplane.Dataplane(
            lambda: self.model.state, self.node.netns, self.node.address, prefix=f"{self.node.netns}-c"
        )
        self.config = NodeConfig(
            "w1",
            IPv4Address(self.node.address),
            IPv4Network("10.244.0.0/16"),
            IPv4Network("10.96.0.0/16"),
            IPv4Network(self.node.subnet),
            "Ethernet",
            datapath=OVS,
        )
        self.folder = folder
        self.start()

    def start(self) -> None:
        """The service."""
        southbound = Southbound(f"unix:{self.node.ovn.southbound}")
        self.connected = threading.Event()
        self.logical = LogicalPorts(
            self.config, southbound, f"unix:{self.node.socket}", self.connected.set, binding_seconds=2
        )
        self.logical.start()
        self.pods = PodNetwork(self.library, self.config, Sandboxes(self.folder), self.logical)
        self.agent = WindowsAgent(self.library, self.config, logical=self.logical, settle=self.pods.settle)
        eventually(lambda: self.logical.has_bridge, "the service sees Open vSwitch")
        assert self.connected.wait(5), "the service is told, and looks at its networks at once"
        self.agent.round()

    def stop(self) -> None:
        self.logical.stop()
        self.dataplane.clear()

    def call(self, command: str, name: str, container: str, namespace: str) -> object:
        request: Request = WindowsNode._request(command, name, namespace)
        args = {**request.args, "K8S_POD_UID": f"uid-{name}"}
        whole = Request(command, request.version, request.config, container, namespace, "eth0", args)
        return self.pods.handle(whole)

    def namespace(self) -> str:
        code, handle, _, record = self.model.call("HcnCreateNamespace", "", 0, '{"Type": "Guest"}')
        assert code == 0, record
        return str(self.model.handles.pop(handle)[1])

    def ports(self) -> list[str]:
        return sorted(name for name in self.node.vsctl("list-ports", "br-int").split() if name.startswith("pod"))


@pytest.fixture(scope="module")
def ovn() -> Iterator[SmallOvn]:
    if reason := missing() or hcn_dataplane.missing():
        pytest.skip(reason)
    system = SmallOvn()
    try:
        system.start()
        yield system
    finally:
        system.stop()


@pytest.fixture(scope="module")
def linux(ovn: SmallOvn) -> Iterator[Place]:
    """A pod on a Linux node."""
    node = ovn.add_node("n1")
    eventually(lambda: "br-int" in node.vsctl("list-br"), "br-int")
    node.take_underlay()
    agent = Agent(node)
    agent.start()
    sandbox = Sandbox(node, "linux").create()
    address = ovn.add_pod_port(node, "default", sandbox.name, sandbox.uid, sandbox.host)
    assert agent.call("ADD", sandbox).status == 0
    place = Place(sandbox.netns, address)
    yield place
    place.stop()
    sandbox.delete()


@pytest.fixture(scope="module")
def windows(ovn: SmallOvn, tmp_path_factory: pytest.TempPathFactory) -> Iterator[OvsNode]:
    made = OvsNode(ovn, tmp_path_factory.mktemp("sandboxes"))
    yield made
    made.stop()


def test_a_pod_has_the_address_that_ovn_gave(ovn: SmallOvn, linux: Place, windows: OvsNode) -> None:
    address = ovn.add_pod_port(windows.node, "default", "iis", "uid-iis", 20)
    namespace = windows.namespace()
    result = windows.call("ADD", "iis", "c1", namespace)
    assert isinstance(result, dict)
    assert result["ips"] == [{"address": f"{address}/24", "interface": 0, "gateway": address.rpartition(".")[0] + ".1"}]
    assert windows.call("ADD", "iis", "c1", namespace) == result
    (name,) = windows.ports()
    assert "default_iis" in windows.node.vsctl("get", "interface", name, "external_ids")

    def interface() -> bool:
        windows.dataplane.converge()
        return not windows.dataplane.waits

    eventually(interface, "Open vSwitch makes the interface")
    place = Place(windows.dataplane.compartment_of(namespace), address)
    try:
        eventually(lambda: ask(linux.netns, address) == linux.address, "packets", 30)
        for kind, size in (("tcp", 60_000), ("udp", UDP_LARGEST)):
            assert ask(linux.netns, address, kind, size) == linux.address
            assert ask(place.netns, linux.address, kind, size) == address
        # The service starts again: nothing changes, and nothing is removed.
        windows.logical.stop()
        windows.start()
        assert windows.ports() == [name]
        assert ask(linux.netns, address) == linux.address
    finally:
        place.stop()
    windows.call("DEL", "iis", "c1", namespace)
    windows.call("DEL", "iis", "c1", namespace)
    assert windows.ports() == []
    assert windows.model.state.endpoints == {}


def test_a_pod_of_docker_has_it_too_as_long_as_its_sandbox_runs(
    ovn: SmallOvn, linux: Place, windows: OvsNode, tmp_path: Path
) -> None:
    model = windows.model
    engine = Engine(model.container_started, model.container_ended)
    with Server(engine) as server:
        threading.Thread(target=server.serve_forever, args=(0.1,), daemon=True).start()
        docker = Docker(lambda patient: socket.create_connection(("127.0.0.1", server.port)))
        endpoints = Endpoints(windows.library, windows.config, TRANSPARENT_NETWORK)
        pods = DockerPods(docker, endpoints, windows.library, Sandboxes(tmp_path), windows.logical)
        follower = threading.Thread(target=pods.run, daemon=True)
        follower.start()
        try:
            ids = engine.run_pod("default", "dock", "uid-dock", ("a", "b", "c"))
            # Before the watcher has made its logical port the pod has nothing; then CNI's ADD comes.
            assert pods.synced.wait(5)
            assert model.state.endpoints == {}
            address = ovn.add_pod_port(windows.node, "default", "dock", "uid-dock", 22)
            args = {"K8S_POD_NAMESPACE": "default", "K8S_POD_NAME": "dock"}  # no uid: cri-dockerd tells none
            config = {"cniVersion": "1.0.0", "name": "ovn-k8s"}
            result = pods.handle(Request("ADD", "1.0.0", config, ids["POD"], "none", "eth0", args))
            assert result
            assert [ip["address"] for ip in result["ips"]] == [f"{address}/24"]
            (name,) = windows.ports()
            (endpoint,) = model.state.endpoints.values()
            assert (endpoint["Name"], set(endpoint["SharedContainers"])) == (name, set(ids.values()))

            def interface() -> bool:
                windows.dataplane.converge()
                return not windows.dataplane.waits

            eventually(interface, "Open vSwitch makes the interface")
            place = Place(windows.dataplane.compartment_of(endpoint["HostComputeNamespace"]), address)
            try:
                eventually(lambda: ask(linux.netns, address) == linux.address, "packets", 30)
                for kind, size in (("tcp", 60_000), ("udp", UDP_LARGEST)):
                    assert ask(linux.netns, address, kind, size) == linux.address
                    assert ask(place.netns, linux.address, kind, size) == address
                engine.die(ids["b"])
                eventually(lambda: ids["b"] not in endpoint["SharedContainers"], "b has ended")
                assert windows.ports() == [name]
                assert ask(linux.netns, address) == linux.address
            finally:
                place.stop()
            engine.die(ids["POD"])
            eventually(lambda: not model.state.endpoints, "the pod has ended")
            assert windows.ports() == []
        finally:
            pods.stop()
            engine.cut()
            follower.join(10)
            server.shutdown()


def test_a_pod_that_ovn_does_not_know_gets_nothing(windows: OvsNode) -> None:
    with pytest.raises(CniError, match="no logical port default_nobody"):
        windows.call("ADD", "nobody", "c2", windows.namespace())
    assert windows.ports() == []
    assert windows.model.state.endpoints == {}


def test_ports_that_nobody_knows_go_and_broken_ones_are_tried_again(ovn: SmallOvn, windows: OvsNode) -> None:
    ovn.add_pod_port(windows.node, "default", "sql", "uid-sql", 21)
    windows.call("ADD", "sql", "c3", windows.namespace())
    (name,) = windows.ports()
    # An interface that cannot be opened: its virtual adapter is not there yet.
    windows.node.vsctl("set", "interface", name, "type=gre")
    windows.node.vsctl("add-port", "br-int", "podforgotten", "--", "set", "interface", "podforgotten",
                       "external_ids:sandbox=gone", "external_ids:ovn-k8s-owner=pod/default/gone")  # fmt: skip
    eventually(lambda: "podforgotten" in windows.ports(), "the forgotten port")

    def opened() -> bool:
        windows.agent.round()
        return (
            windows.node.vsctl("get", "interface", name, "ofport").lstrip("-").isdigit()
            and int(windows.node.vsctl("get", "interface", name, "ofport")) > 0
        )

    eventually(opened, "the port is opened")
    assert windows.ports() == [name]
    windows.call("DEL", "sql", "c3", "")


def test_a_restart_of_the_machine_brings_network_and_extension_back(windows: OvsNode) -> None:
    windows.model.state.networks.clear()
    windows.agent.round()
    (network,) = windows.model.state.networks.values()
    assert (network["Name"], network["Type"]) == ("ovn-k8s", "Transparent")
    extensions = [one["Settings"] for one in network["Policies"] if one["Type"] == "VSwitchExtension"]
    assert extensions == [{"ExtensionID": "583cc151-73ec-4a6a-8b47-578297ad7623", "Enable": True}]
