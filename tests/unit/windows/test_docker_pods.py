# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""Pods of the Docker Engine, on an emulated Engine and the model of HNS (evidence: unit)."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from model_hcn import ModelHcn
from test_pod_network import CONFIG

from lab.windows.docker_engine import Engine, Server
from lab.windows.hcn_model import Fault
from ovn_k8s.cni.protocol import CniError, parse_request
from ovn_k8s.windows import hybrid_overlay
from ovn_k8s.windows.config import NETWORK
from ovn_k8s.windows.docker_api import Docker, DockerError
from ovn_k8s.windows.docker_pods import DockerPods
from ovn_k8s.windows.host_network import carry_out, read_inventory
from ovn_k8s.windows.pod_endpoint import Endpoints
from ovn_k8s.windows.sandboxes import Sandboxes


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

    def start(self) -> DockerPods:
        endpoints = Endpoints(self.library, CONFIG, NETWORK, delete_seconds=0.5)
        self.pods = DockerPods(Docker(self._connect), endpoints, self.library, Sandboxes(self.folder))
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
    world.engine.cut()
    until(lambda: world.attached("shop_first"))


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
