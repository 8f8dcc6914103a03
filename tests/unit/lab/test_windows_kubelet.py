# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""The kubelet stand-in: what it understands, what it says, and the streams of exec."""

from __future__ import annotations

import json
import socket
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
import yaml

from lab.windows.drive import Drive
from lab.windows.kubelet import settings
from lab.windows.kubelet.cni import Sandbox
from lab.windows.kubelet.server import _Session
from lab.windows.kubelet.spdy import DICTIONARY, PING, SYN_REPLY, Connection, Frame
from lab.windows.kubelet.status import ContainerState, PodState, node, node_status, pod_status
from lab.windows.programs import Refused

CONFIGURATION: dict[str, Any] = {
    "kind": "KubeletConfiguration",
    "cgroupsPerQOS": False,
    "enforceNodeAllocatable": [],
    "containerRuntimeEndpoint": "npipe:////./pipe/containerd-containerd",
    "registerWithTaints": [{"key": "os", "value": "windows", "effect": "NoSchedule"}],
    "clusterDNS": ["10.96.0.10"],
}
KUBECONFIG = {
    "clusters": [{"cluster": {"server": "https://172.30.0.11:6443", "certificate-authority": r"C:\pki\ca.crt"}}],
    "users": [{"user": {"client-certificate": r"C:\pki\a.crt", "client-key": r"C:\pki\a.key"}}],
}
LINE = [
    r"C:\k\kubelet.exe",
    "--windows-service",
    r"--config=C:\k\kubelet.yaml",
    "--kubeconfig",
    r"C:\k\kubelet.kubeconfig",
    "--hostname-override=WIN1",
    "--node-ip=172.30.0.15",
    "--node-labels=a.b/c=d",
]


def drive(tmp_path: Path, **changes: Any) -> Drive:
    made = Drive(tmp_path, {})
    made.make_folder(r"C:\k")
    made.write(r"C:\k\kubelet.yaml", yaml.safe_dump({**CONFIGURATION, **changes}).encode())
    made.write(r"C:\k\kubelet.kubeconfig", yaml.safe_dump(KUBECONFIG).encode())
    return made


def read(tmp_path: Path, **changes: Any) -> settings.Settings:
    return settings.read(LINE, drive(tmp_path, **changes), "win1")


def test_a_command_line_and_its_files_are_understood(tmp_path: Path) -> None:
    found = read(tmp_path)
    assert (found.node, found.address, found.labels) == ("win1", "172.30.0.15", {"a.b/c": "d"})
    assert found.access.server == "https://172.30.0.11:6443"
    assert found.access.key == str(tmp_path / "pki" / "a.key")
    assert found.dns == ("10.96.0.10",)
    registered = node(found)
    assert registered["metadata"]["labels"]["kubernetes.io/os"] == "windows"
    assert registered["spec"]["taints"] == CONFIGURATION["registerWithTaints"]


@pytest.mark.parametrize("changes", [{"cgroupsPerQOS": True}, {"enforceNodeAllocatable": ["pods"]}, {"kind": "Pod"}])
def test_settings_with_which_kubelet_does_not_start_on_windows(tmp_path: Path, changes: dict[str, Any]) -> None:
    with pytest.raises(Refused):
        read(tmp_path, **changes)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    made = drive(tmp_path)
    made.remove(r"C:\k\kubelet.kubeconfig")
    with pytest.raises(Refused, match=r"kubelet\.kubeconfig"):
        settings.read(LINE, made, "win1")


def test_the_node_says_why_it_is_not_ready(tmp_path: Path) -> None:
    found = read(tmp_path)
    ready = {item["type"]: item for item in node_status(found, "", "b", {})["conditions"]}["Ready"]
    not_ready = {item["type"]: item for item in node_status(found, "no CNI", "b", {})["conditions"]}["Ready"]
    assert (ready["status"], not_ready["status"], not_ready["message"]) == ("True", "False", "no CNI")


POD = {"spec": {"containers": [{"name": "a", "image": "i"}, {"name": "b", "image": "i"}]}}


def test_a_pod_is_ready_when_all_its_containers_run(tmp_path: Path) -> None:
    found = read(tmp_path)
    state = PodState(0.0)
    assert pod_status(POD, found, state)["phase"] == "Pending"
    state.address = "10.244.4.3"
    runs = ContainerState(id="1", waiting=("", ""))
    state.containers = {"a": runs, "b": ContainerState(waiting=("ErrImagePull", "no such image"))}
    told = pod_status(POD, found, state)
    assert told["containerStatuses"][1]["state"] == {"waiting": {"reason": "ErrImagePull", "message": "no such image"}}
    ready = {item["type"]: item["status"] for item in told["conditions"]}
    assert (told["phase"], ready["Ready"], ready["PodReadyToStartContainers"]) == ("Running", "False", "True")
    state.containers["b"] = ContainerState(id="2", waiting=("", ""), restarts=1, exit_code=137)
    told = pod_status(POD, found, state)
    assert {item["type"]: item["status"] for item in told["conditions"]}["Ready"] == "True"
    assert told["containerStatuses"][1]["lastState"]["terminated"]["exitCode"] == 137


def test_a_new_address_replaces_the_old_one(tmp_path: Path) -> None:
    # A strategic merge of podIPs would leave both, which the API server refuses.
    found = read(tmp_path)
    assert pod_status(POD, found, PodState(0.0, "10.244.4.4"))["podIPs"] == [
        {"$patch": "replace"},
        {"ip": "10.244.4.4"},
    ]
    assert pod_status(POD, found, PodState(0.0))["podIPs"] == [{"$patch": "replace"}]


def test_what_cni_is_told() -> None:
    sandbox = Sandbox("c1", "shop", "web", "u1", "guid")
    told = sandbox.environment("ADD", [r"C:\bin"])
    assert told["CNI_NETNS"] == "guid"
    assert "K8S_POD_NAMESPACE=shop;K8S_POD_NAME=web" in told["CNI_ARGS"]
    assert "K8S_POD_UID=u1" in told["CNI_ARGS"]


# ---- exec


def test_the_dictionary_is_the_protocols() -> None:
    assert len(DICTIONARY) == 1423
    assert DICTIONARY.endswith(b"enq=0.")


class Client:
    """The API server's side."""

    def __init__(self, near: socket.socket) -> None:
        self.connection = Connection(near)
        self.frames: list[Frame] = []

    def content(self, stream: int) -> bytes:
        return b"".join(frame.content for frame in self.frames if frame.type == 0 and frame.stream == stream)


def run(command: list[str], stdin: bytes | None = None) -> Client:
    near, far = socket.socketpair()
    near.settimeout(20)
    names = ["error", "stdout", "stderr", *(["stdin"] if stdin is not None else [])]
    session = _Session(Connection(far), set(names))

    def serve() -> None:
        session.run(command)
        far.close()

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    client = Client(near)
    for number, name in enumerate(names):
        client.connection.open(2 * number + 1, {"streamType": name, "port": "1"})
    if stdin is not None:
        client.connection.send(7, stdin)
        client.connection.send(7, b"", last=True)
    while not any(frame.type == 0 and frame.stream == 1 and frame.last for frame in client.frames):
        frame = client.connection.read()
        assert frame is not None
        client.frames.append(frame)
    near.shutdown(socket.SHUT_WR)
    thread.join(20)
    assert not thread.is_alive()
    return client


def test_a_command_gets_its_input_and_says_how_it_ended() -> None:
    big = b"x" * 300_000
    client = run([sys.executable, "-c", "import sys; print(len(sys.stdin.read())); sys.stderr.write('e')"], big)
    assert (client.content(3).strip(), client.content(5)) == (b"300000", b"e")
    assert json.loads(client.content(1))["status"] == "Success"
    assert sum(frame.type == SYN_REPLY for frame in client.frames) == 4


def test_an_exit_code_is_told() -> None:
    ended = json.loads(run([sys.executable, "-c", "raise SystemExit(3)"]).content(1))
    assert (ended["reason"], ended["details"]["causes"][0]["message"]) == ("NonZeroExitCode", "3")


def test_what_is_no_spdy_is_refused() -> None:
    near, far = socket.socketpair()
    near.sendall(b"GET / HTTP/1.1\r\n\r\n" + b"\x80\x02" + bytes(20))
    with pytest.raises(ValueError, match="frame of"):
        Connection(far).read()
    near.close()
    far.close()


def test_a_ping_is_answered() -> None:
    near, far = socket.socketpair()
    client, server = Connection(near), Connection(far)
    client.answer_ping(Frame(PING, 0, 1, {}, b"\0\0\0\1"))
    frame = server.read()
    assert frame is not None
    assert (frame.type, frame.content) == (PING, b"\0\0\0\1")
    near.close()
    far.close()
