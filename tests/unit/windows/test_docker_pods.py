# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""Pods of the Docker Engine, on an emulated Engine and the model of HNS (evidence: unit)."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from ipaddress import IPv4Address, IPv4Interface
from pathlib import Path
from typing import Any

import pytest
from model_hcn import ModelHcn
from test_pod_network import CONFIG

from lab.windows.docker_engine import Engine, Server
from lab.windows.hcn_model import Fault
from ovn_k8s.cni.protocol import CniError, Code, parse_request
from ovn_k8s.node.bindings import Binding
from ovn_k8s.windows import hybrid_overlay, transparent
from ovn_k8s.windows.config import NETWORK, OVS, TRANSPARENT_NETWORK
from ovn_k8s.windows.docker_api import Docker, DockerError
from ovn_k8s.windows.docker_pods import DockerPods
from ovn_k8s.windows.host_network import carry_out, read_inventory
from ovn_k8s.windows.pod_endpoint import Endpoints
from ovn_k8s.windows.sandboxes import Sandboxes


class Ports:
    """What OVN has for the pods, and the ports of Open vSwitch, with what each pod's endpoint was attached to then."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.bindings: dict[str, str] = {}
        """Pod to address."""
        self.ports: dict[str, tuple[str, str, set[str]]] = {}
        """Name to pod, sandbox, and the containers that had the endpoint when the port was made."""
        self.away = False

    def wait(self, pod: str, uid: str, seconds: float | None = None) -> Binding:
        if pod not in self.bindings:
            raise CniError(Code.TRY_AGAIN_LATER, f"there is no logical port {pod}")
        address = IPv4Interface(self.bindings[pod])
        mac = "0a:58:" + ":".join(f"{byte:02x}" for byte in address.ip.packed)
        return Binding(pod, uid, mac, address, IPv4Address("10.244.5.1"))

    def attach(self, name: str, pod: str, sandbox: str, binding: Binding) -> None:
        self._there()
        self.ports.setdefault(name, (pod, sandbox, self._world.attached(name)))

    def detach(self, name: str) -> None:
        self._there()
        self.ports.pop(name, None)

    def settle(self, sandboxes: set[str]) -> bool:
        return False

    def _there(self) -> None:
        if self.away:
            raise CniError(Code.TRY_AGAIN_LATER, "Open vSwitch is away")


class World:
    """An Engine, an HNS with the networks, and the service's part that follows the Engine."""

    def __init__(self, folder: Path) -> None:
        self.library = ModelHcn()
        self.model = self.library.model
        self.engine = Engine(self.model.container_started, self.model.container_ended)
        self.server = Server(self.engine)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.folder = folder
        self._sockets: list[socket.socket] = []
        actual = read_inventory(self.library)
        carry_out(self.library, hybrid_overlay.plan(CONFIG, (), actual), actual)
        self.pods: DockerPods | None = None
        self.ports: Ports | None = None
        self.told = threading.Event()

    def take_openvswitch(self) -> Ports:
        """Be a node with Open vSwitch."""
        actual = read_inventory(self.library)
        carry_out(self.library, transparent.plan(CONFIG, actual, bridges=True), actual)
        self.ports = Ports(self)
        return self.ports

    def start(self) -> DockerPods:
        config, network = (replace(CONFIG, datapath=OVS), TRANSPARENT_NETWORK) if self.ports else (CONFIG, NETWORK)
        endpoints = Endpoints(self.library, config, network, delete_seconds=0.5)
        self.pods = DockerPods(
            Docker(self._connect), endpoints, self.library, Sandboxes(self.folder), self.ports, self.told.set
        )
        self.thread = threading.Thread(target=self.pods.run, daemon=True)
        self.thread.start()
        assert self.pods.synced.wait(5)
        return self.pods

    def stop(self) -> None:
        if self.pods:
            self.pods.stop()
        self.engine.cut()
        if self.pods:
            self.thread.join(10)
        self.pods = None

    def close(self) -> None:
        self.stop()
        self.server.shutdown()
        self.server.server_close()

    def _connect(self, patient: bool) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.server.port), timeout=None if patient else 5)

    @property
    def endpoints(self) -> dict[str, dict[str, Any]]:
        """By the pod's name."""
        return {str(one["Name"]): one for one in list(self.model.state.endpoints.values())}

    def attached(self, pod: str) -> set[str]:
        return set(self.endpoints.get(pod, {}).get("SharedContainers", ()))


def until(condition: Callable[[], object], seconds: float = 5.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path / "pods")
    yield made
    made.close()


def test_three_containers_share_one_endpoint_that_outlives_each(world: World) -> None:
    world.start()
    ids = world.engine.run_pod("shop", "web", "u1", ("a", "b", "c"))
    until(lambda: world.attached("shop_web") == set(ids.values()))
    (before,) = [dict(one) for one in world.endpoints.values()]
    world.engine.die(ids["b"])
    until(lambda: world.attached("shop_web") == set(ids.values()) - {ids["b"]})
    again = world.engine.create("again", world.engine.containers[ids["b"]].labels)
    world.engine.remove(ids["b"])
    world.engine.start(again)
    until(lambda: again in world.attached("shop_web"))
    (after,) = world.endpoints.values()
    assert (after["ID"], after["IpConfigurations"]) == (before["ID"], before["IpConfigurations"])
    for id_ in (again, ids["a"], ids["c"], ids["POD"]):
        world.engine.remove(id_)
    until(lambda: not world.endpoints)
    assert list(world.folder.glob("*")) == []
    assert all(kind != "System" for kind, _ in world.model.handles.values())


def test_nothing_that_happens_while_the_service_is_down_is_missed(world: World) -> None:
    world.start()
    stays = world.engine.run_pod("shop", "stays", "u1", ("a",))
    goes = world.engine.run_pod("shop", "goes", "u2", ("a",))
    until(lambda: world.attached("shop_stays") == set(stays.values()) and world.attached("shop_goes"))
    address = world.endpoints["shop_stays"]["IpConfigurations"]
    world.stop()
    for id_ in goes.values():
        world.engine.remove(id_)
    comes = world.engine.run_pod("shop", "comes", "u3", ("a", "b"))
    late = world.engine.create("late", world.engine.containers[stays["a"]].labels)
    world.engine.start(late)
    world.start()
    until(lambda: world.attached("shop_comes") == set(comes.values()))
    until(lambda: late in world.attached("shop_stays"))
    assert world.endpoints.keys() == {"shop_stays", "shop_comes"}
    assert world.endpoints["shop_stays"]["IpConfigurations"] == address


def test_an_engine_that_restarts_is_followed_again(world: World) -> None:
    world.start()
    world.engine.cut()
    ids = world.engine.run_pod("shop", "web", "u1", ("a",))
    until(lambda: world.attached("shop_web") == set(ids.values()), 10)


def test_an_engine_that_is_away_tears_nothing_down(world: World) -> None:
    pods = world.start()
    world.engine.run_pod("shop", "web", "u1", ("a",))
    until(lambda: world.attached("shop_web"))
    world.stop()
    world.engine.garbage = "{}"
    with pytest.raises(DockerError, match="no list"):
        pods.look_at_all()
    world.engine.garbage = "<html>"
    with pytest.raises(DockerError, match="cannot be read"):
        pods.look_at_all()
    assert world.endpoints.keys() == {"shop_web"}


def test_the_next_pod_of_a_name_is_another(world: World) -> None:
    world.start()
    first = world.engine.run_pod("shop", "db-0", "u1", ("a",))
    until(lambda: world.attached("shop_db-0") == set(first.values()))
    (before,) = world.model.state.endpoints
    for id_ in first.values():
        world.engine.remove(id_)
    second = world.engine.run_pod("shop", "db-0", "u2", ("a",))
    until(lambda: world.attached("shop_db-0") == set(second.values()))
    (after,) = world.model.state.endpoints
    assert after != before


def test_a_new_sandbox_keeps_the_pods_address_no_longer_than_the_old_one_lives(world: World) -> None:
    world.start()
    ids = world.engine.run_pod("shop", "web", "u1", ("a",))
    until(lambda: world.attached("shop_web") == set(ids.values()))
    world.engine.die(ids["POD"])
    until(lambda: not world.endpoints)


def test_containers_that_are_no_pods_are_left_alone(world: World) -> None:
    world.start()
    world.engine.start(world.engine.create("mine", {"com.example": "x"}))
    half = world.engine.create("half", {"io.kubernetes.pod.uid": "u9"})
    world.engine.start(half)
    world.engine.run_pod("shop", "web", "u1", ())
    until(lambda: world.attached("shop_web"))
    assert world.endpoints.keys() == {"shop_web"}


def test_one_pod_that_hns_refuses_does_not_hold_up_the_others(world: World) -> None:
    world.model.faults["HcnCreateEndpoint"] = Fault(code=0x803B0015)
    world.start()
    world.engine.run_pod("shop", "first", "u1", ())
    world.engine.run_pod("shop", "second", "u2", ())
    until(lambda: world.attached("shop_second"))
    assert world.told.wait(5) and world.pods
    assert world.pods.settle() is False, "it was tried again, with success"
    assert world.attached("shop_first")


def test_an_endpoint_that_hns_does_not_describe_is_not_forgotten(world: World) -> None:
    world.start()
    world.model.faults["HcnQueryEndpointProperties"] = Fault(answer="{")
    first = world.engine.run_pod("shop", "first", "u1", ())
    until(lambda: not world.model.faults["HcnQueryEndpointProperties"].times)
    world.engine.run_pod("shop", "second", "u2", ())
    until(lambda: world.attached("shop_second"))
    for container in first.values():
        world.engine.die(container)
    until(lambda: set(world.endpoints) == {"shop_second"})
    assert [file.stem for file in world.folder.glob("*.json")] == ["u2"]


def test_cni_is_told_the_address_that_the_events_use(world: World) -> None:
    pods = world.start()

    def call(command: str, netns: str, uid: str = "u1") -> Any:
        environment = {
            "CNI_COMMAND": command,
            "CNI_CONTAINERID": "sandbox1",
            "CNI_NETNS": netns,
            "CNI_IFNAME": "eth0",
            "CNI_ARGS": f"IgnoreUnknown=1;K8S_POD_NAMESPACE=shop;K8S_POD_NAME=web;K8S_POD_UID={uid}",
        }
        return pods.handle(parse_request(environment, '{"cniVersion": "1.0.0", "name": "ovn-k8s"}'))

    with pytest.raises(CniError, match="has no endpoint"):
        call("CHECK", "none")
    told = call("ADD", "none")
    assert call("ADD", "container:sandbox1")["ips"] == told["ips"]
    ids = world.engine.run_pod("shop", "web", "u1", ("a",))
    until(lambda: world.attached("shop_web") == set(ids.values()))
    address = world.endpoints["shop_web"]["IpConfigurations"][0]["IpAddress"]
    assert told["ips"][0]["address"] == f"{address}/24"
    assert call("CHECK", "none") is None
    assert call("DEL", "none") is None
    assert world.endpoints
    with pytest.raises(CniError, match="no K8S_POD_UID"):
        call("ADD", "none", uid="")


def test_cri_dockerd_names_the_sandbox_and_not_the_pods_uid(world: World) -> None:
    pods = world.start()
    ids = world.engine.run_pod("shop", "web", "u1", ("a",))
    environment = {
        "CNI_COMMAND": "ADD",
        "CNI_CONTAINERID": ids["POD"],
        "CNI_NETNS": "none",
        "CNI_IFNAME": "eth0",
        "CNI_ARGS": f"IgnoreUnknown=1;K8S_POD_NAMESPACE=shop;K8S_POD_NAME=web;K8S_POD_INFRA_CONTAINER_ID={ids['POD']}",
    }
    told = pods.handle(parse_request(environment, '{"cniVersion": "1.0.0", "name": "ovn-k8s"}'))
    assert told is not None
    until(lambda: world.attached("shop_web") == set(ids.values()))
    address = world.endpoints["shop_web"]["IpConfigurations"][0]["IpAddress"]
    assert told["ips"][0]["address"] == f"{address}/24"
    world.stop()
    world.engine.garbage = "<html>"
    with pytest.raises(CniError, match="does not say whose"):
        pods.handle(parse_request(environment, '{"cniVersion": "1.0.0", "name": "ovn-k8s"}'))


def name_of(world: World) -> str:
    (name,) = world.endpoints
    return name


def test_with_open_vswitch_a_pod_has_what_ovn_says_and_a_port_that_comes_after_its_adapter(world: World) -> None:
    ports = world.take_openvswitch()
    ports.bindings["shop_web"] = "10.244.5.7/24"
    world.start()
    ids = world.engine.run_pod("shop", "web", "u1", ("a", "b"))
    until(lambda: world.endpoints and world.attached(name_of(world)) == set(ids.values()))
    until(lambda: ports.ports)
    (endpoint,) = world.endpoints.values()
    assert endpoint["IpConfigurations"] == [{"IpAddress": "10.244.5.7", "PrefixLength": 24}]
    assert endpoint["MacAddress"] == "0A-58-0A-F4-05-07"
    ((name, (pod, sandbox, attached)),) = ports.ports.items()
    assert (name, pod, sandbox) == (endpoint["Name"], "shop_web", "u1")
    assert ids["POD"] in attached, "the endpoint was attached before"
    world.engine.die(ids["b"])
    until(lambda: world.attached(name) == {ids["POD"], ids["a"]})
    assert ports.ports
    for id_ in ids.values():
        world.engine.remove(id_)
    until(lambda: not world.endpoints)
    assert ports.ports == {}


def test_with_open_vswitch_a_pod_waits_for_its_logical_port_and_holds_up_nobody(world: World) -> None:
    ports = world.take_openvswitch()
    ports.bindings["shop_second"] = "10.244.5.8/24"
    pods = world.start()
    first = world.engine.run_pod("shop", "first", "u1", ("a",))
    second = world.engine.run_pod("shop", "second", "u2", ())
    until(lambda: world.endpoints and world.attached(name_of(world)) == {second["POD"]})
    assert world.told.wait(5), "the agent is told that there is something to try again"
    assert pods.settle() is True
    assert len(world.endpoints) == 1
    assert [file.stem for file in world.folder.glob("*.json")] == ["u2"], "nothing is written down for it"
    ports.bindings["shop_first"] = "10.244.5.7/24"
    assert pods.settle() is False
    assert {frozenset(world.attached(name)) for name in world.endpoints} == {
        frozenset(first.values()),
        frozenset(second.values()),
    }


def test_with_open_vswitch_nothing_is_torn_down_or_forgotten_while_it_is_away(world: World) -> None:
    ports = world.take_openvswitch()
    ports.bindings |= {"shop_web": "10.244.5.7/24", "shop_gone": "10.244.5.8/24"}
    pods = world.start()
    ids = world.engine.run_pod("shop", "web", "u1", ("a",))
    gone = world.engine.run_pod("shop", "gone", "u2", ())
    until(lambda: len(ports.ports) == 2)
    ports.away = True
    ports.bindings.clear()
    again = world.engine.create("again", world.engine.containers[ids["a"]].labels)
    world.engine.start(again)
    name = next(name for name, (pod, _, _) in ports.ports.items() if pod == "shop_web")
    until(lambda: again in world.attached(name))
    world.engine.remove(gone["POD"])
    until(lambda: pods.settle() is True)
    assert len(world.endpoints) == 2, "its port is still there, so its endpoint is"
    ports.away = False
    assert pods.settle() is False
    assert list(world.endpoints) == [name]
    assert list(ports.ports) == [name]
