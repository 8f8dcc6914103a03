# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
from __future__ import annotations

import json
import stat
import threading
from pathlib import Path
from typing import Any

from ovn_k8s.cni import shim
from ovn_k8s.cni.answer import answer
from ovn_k8s.cni.protocol import CniError, Code, Request
from ovn_k8s.node.server import Server

STDIN = json.dumps({"cniVersion": "1.1.0", "name": "n"})


def message(command: str = "STATUS") -> dict[str, Any]:
    return {"env": {"CNI_COMMAND": command}, "stdin": STDIN}


def refuse(_: Request) -> None:
    raise CniError(Code.NOT_AVAILABLE, "no", "because")


def crash(_: Request) -> None:
    raise RuntimeError("oops")


def test_answers() -> None:
    assert answer(message(), lambda _: None, "the log") == (0, "")
    assert answer(message(), lambda _: {"a": 1}, "the log") == (0, '{"a": 1}')
    assert answer(message("VERSION"), crash, "the log")[0] == 0
    code, stdout = answer(message(), refuse, "the log")
    assert (code, json.loads(stdout)["details"]) == (50, "because")


def test_an_unexpected_failure_is_an_error_object_too() -> None:
    code, stdout = answer(message(), crash, "the log")
    assert (code, json.loads(stdout)["code"]) == (100, 100)


def test_messages_of_another_program() -> None:
    for wrong in ({}, [], "x", None, {"env": 3, "stdin": ""}):
        assert answer(wrong, refuse, "the log")[0] == Code.DECODING_FAILURE


def test_socket_is_for_root_alone_and_replaces_a_leftover(tmp_path: Path) -> None:
    path = tmp_path / "run" / "cni.sock"
    path.parent.mkdir()
    path.write_text("left by a killed agent")
    with Server(path, lambda _: {"ok": True}) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert shim.ask(str(path), json.dumps(message())) == (0, '{"ok": true}')
        server.shutdown()
