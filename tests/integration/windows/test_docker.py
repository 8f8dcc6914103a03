# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""The service with the Docker Engine as runtime: events through a real named pipe, pods of several containers.

Evidence: Wine. The service, both ends of the pipe and the calls of vmcompute.dll are real; Engine and HNS are models.
"""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Iterator

import pytest
from test_service import CONFIG, Node
from windows_machine import ROOT, TURNS, Windows, wine

from lab.windows.docker_engine import Engine, Server

DOCKER = CONFIG + 'runtime = "docker"\n'
PIPE_PROGRAM = ROOT / "lab" / "windows" / "docker_pipe.py"


class Docker:
    """The Engine, and the program that puts it on the pipe."""

    def __init__(self, node: Node) -> None:
        self.node = node
        model = node.windows.model
        self.engine = Engine(model.container_started, model.container_ended)
        self.server = Server(self.engine)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self._program: subprocess.Popen[str] | None = None

    def start(self) -> None:
        machine = self.node.windows.machine
        self._program = subprocess.Popen(
            ["wine", str(wine.PROGRAM_DIR / "python.exe"), f"Z:{PIPE_PROGRAM}", str(self.server.port)],
            env=machine.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        assert self._program.stdout is not None
        assert "listening" in self._program.stdout.readline()

    def stop(self) -> None:
        self.engine.cut()
        if self._program is not None:
            self._program.kill()
            self._program.wait(20)
            self._program = None

    def attached(self, pod: str) -> set[str]:
        found = [one for one in self.node.endpoints if one["Name"] == pod]
        assert len(found) <= 1
        return {id_ for one in found for id_ in one.get("SharedContainers", ())}

    def until(self, pod: str, containers: set[str]) -> None:
        self.node.wait(f"{pod}: not attached to {containers}", lambda: self.attached(pod) == containers)


@pytest.fixture
def node(windows: Windows) -> Iterator[Node]:
    made = Node(windows)
    made.data.mkdir(parents=True, exist_ok=True)
    (made.data / "node.toml").write_text(DOCKER)
    made.control("install")
    try:
        yield made
    finally:
        made.sc("stop")
        made.control("remove")
        for record in (made.data / "pods").glob("*.json"):
            record.unlink()


@pytest.fixture
def docker(node: Node) -> Iterator[Docker]:
    made = Docker(node)
    try:
        yield made
    finally:
        made.stop()
        made.server.shutdown()
        made.server.server_close()


def test_pods_of_several_containers(node: Node, docker: Docker) -> None:
    docker.start()
    node.start()
    ids = docker.engine.run_pod("shop", "web", "u1", ("a", "b", "c"))
    docker.until("shop_web", set(ids.values()))
    (before,) = [dict(one) for one in node.endpoints]
    docker.engine.die(ids["b"])
    again = docker.engine.create("again", docker.engine.containers[ids["b"]].labels)
    docker.engine.start(again)
    docker.until("shop_web", {*ids.values(), again} - {ids["b"]})
    (after,) = node.endpoints
    assert (after["ID"], after["IpConfigurations"]) == (before["ID"], before["IpConfigurations"])

    # What happens while the service is down is made up for when it starts.
    node.stop()
    other = docker.engine.run_pod("shop", "other", "u2", ("a",))
    for id_ in (again, *ids.values()):
        docker.engine.remove(id_)
    node.start()
    docker.until("shop_other", set(other.values()))
    node.wait("the pod that has gone keeps its endpoint", lambda: [e["Name"] for e in node.endpoints] == ["shop_other"])

    # And what happens while the Engine is away, when it comes back.
    docker.stop()
    node.wait("the loss of the Engine is not noticed", lambda: "pods keep what they have" in node.log())
    assert docker.attached("shop_other") == set(other.values())
    late = docker.engine.run_pod("shop", "late", "u3", ())
    docker.start()
    docker.until("shop_late", set(late.values()))
    node.stop()


def test_pods_in_a_row_leave_nothing(node: Node, docker: Docker) -> None:
    docker.start()
    node.start()
    for turn in range(max(TURNS // 50, 3)):
        ids = docker.engine.run_pod("shop", f"p{turn}", f"u{turn}", ("a",))
        docker.until(f"shop_p{turn}", set(ids.values()))
        for id_ in ids.values():
            docker.engine.remove(id_)
    node.wait("endpoints stay", lambda: not node.endpoints)
    node.wait("handles stay", lambda: not node.windows.model.handles)
    node.wait("records stay", lambda: not list((node.data / "pods").glob("*.json")))
