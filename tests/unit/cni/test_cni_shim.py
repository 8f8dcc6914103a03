# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""The CNI executable as a process, against a socket that plays the agent."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from ovn_k8s.cni import protocol, shim

ENVIRONMENT = {"CNI_COMMAND": "ADD", "CNI_CONTAINERID": "abc", "HOME": "/root", "CNI_ARGS": "A=ü"}


def call(path: Path, **environment: str) -> tuple[int, Any]:
    done = subprocess.run(
        [sys.executable, "-IS", shim.__file__],
        env={**ENVIRONMENT, **environment},
        input=json.dumps({"cniVersion": "1.0.0", "name": "n", "socket": str(path)}),
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )
    assert done.stderr == ""
    return done.returncode, json.loads(done.stdout) if done.stdout else None


class Peer:
    """Accepts one connection, keeps what it says and answers with `reply`."""

    def __init__(self, path: Path, reply: bytes) -> None:
        self.path = path
        self.received = b""
        self._reply = reply
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket.bind(str(path))
        self._socket.listen()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        connection, _ = self._socket.accept()
        with connection, self._socket:
            while part := connection.recv(65536):
                self.received += part
            connection.sendall(self._reply)

    def request(self) -> Any:
        self._thread.join(5)
        return json.loads(self.received)


def test_both_halves_speak_the_same_versions() -> None:
    assert shim.SUPPORTED_VERSIONS == protocol.SUPPORTED_VERSIONS
    codes = (shim.DECODING_FAILURE, shim.TRY_AGAIN_LATER, shim.NOT_AVAILABLE)
    assert codes == (protocol.Code.DECODING_FAILURE, protocol.Code.TRY_AGAIN_LATER, protocol.Code.NOT_AVAILABLE)


def test_it_hands_over_cni_variables_and_prints_the_reply(tmp_path: Path) -> None:
    peer = Peer(tmp_path / "s", json.dumps({"code": 0, "stdout": '{"ips": []}'}).encode())
    assert call(peer.path) == (0, {"ips": []})
    request = peer.request()
    assert request["env"] == {"CNI_COMMAND": "ADD", "CNI_CONTAINERID": "abc", "CNI_ARGS": "A=ü"}
    assert json.loads(request["stdin"])["name"] == "n"


def test_an_error_code_is_exit_status_1(tmp_path: Path) -> None:
    peer = Peer(tmp_path / "s", json.dumps({"code": 101, "stdout": '{"code": 101}'}).encode())
    assert call(peer.path) == (1, {"code": 101})


@pytest.mark.parametrize("reply", [b"", b"nonsense", b"{}", b"[1]"])
def test_an_agent_that_answers_nonsense(tmp_path: Path, reply: bytes) -> None:
    status, output = call(Peer(tmp_path / "s", reply).path)
    assert (status, output["code"]) == (1, 11)


@pytest.mark.parametrize(("command", "code"), [("ADD", 11), ("DEL", 11), ("CHECK", 11), ("GC", 11), ("STATUS", 50)])
def test_no_agent(tmp_path: Path, command: str, code: int) -> None:
    status, output = call(tmp_path / "absent", CNI_COMMAND=command)
    assert (status, output["code"], output["cniVersion"]) == (1, code, "1.0.0")
    assert "ovn-k8s-node" in output["msg"]


def test_version_needs_no_agent(tmp_path: Path) -> None:
    status, output = call(tmp_path / "absent", CNI_COMMAND="VERSION")
    assert (status, output) == (0, {"cniVersion": "1.0.0", "supportedVersions": ["0.4.0", "1.0.0", "1.1.0"]})


def test_input_that_is_no_json() -> None:
    done = subprocess.run(
        [sys.executable, "-IS", shim.__file__], env=ENVIRONMENT, input="{", capture_output=True, text=True, check=False
    )
    assert (done.returncode, json.loads(done.stdout)["code"]) == (1, 6)


def test_it_stands_alone() -> None:
    """Only the standard library, named here: everything that is added makes each pod slower."""
    imports = {
        line.split()[1] for line in Path(shim.__file__).read_text().splitlines() if line.startswith(("import", "from"))
    }
    assert imports == {"json", "os", "socket", "sys"}
