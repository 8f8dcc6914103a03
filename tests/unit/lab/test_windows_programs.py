# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
from __future__ import annotations

import socket
import struct
import threading

import pytest

from lab.windows.programs import Programs, Refused, Work, hosted, split


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (r'"C:\Program Files\a.exe" --x "b c" d', [r"C:\Program Files\a.exe", "--x", "b c", "d"]),
        (r'a "" b', ["a", "", "b"]),
        (r"a \\server\x\ b", ["a", r"\\server\x" + "\\", "b"]),
        (r'a "x\\" "y\"z"', ["a", "x\\", 'y"z']),
    ],
)
def test_command_lines_come_apart_as_windows_does_it(line: str, words: list[str]) -> None:
    assert split(line) == words


def test_the_program_behind_the_one_that_keeps_its_log() -> None:
    words = split(r'"C:\k\kube-log-runner.exe" -log-file "C:\l og" -also-stdout C:\k\kubelet.exe --windows-service')
    assert hosted(words) == ("kubelet", [r"C:\k\kubelet.exe", "--windows-service"])


class Crash:
    def run(self, stop: threading.Event) -> None:
        raise RuntimeError("on purpose")


class Waits:
    def __init__(self) -> None:
        self.stopped = threading.Event()

    def run(self, stop: threading.Event) -> None:
        assert stop.wait(10)
        self.stopped.set()


def _refuse(words: list[str]) -> Work:
    raise Refused("no --config")


@pytest.fixture
def waits() -> Waits:
    return Waits()


@pytest.fixture
def programs(waits: Waits):
    makers = {"kubelet": lambda words: waits, "crash": lambda words: Crash(), "never": _refuse}
    with Programs(makers) as server:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        yield server
        server.shutdown()


def _start(programs: Programs, request: str) -> tuple[socket.socket, int, str]:
    connection = socket.create_connection(programs.server_address[:2], timeout=10)
    connection.sendall(struct.pack("<I", len(request)) + request.encode())
    code, length = struct.unpack("<II", connection.recv(8, socket.MSG_WAITALL))
    return connection, code, connection.recv(length, socket.MSG_WAITALL).decode() if length else ""


def test_a_service_runs_until_its_connection_is_closed(programs: Programs, waits: Waits) -> None:
    connection, code, _ = _start(programs, r"SC:\kubelet.exe --windows-service")
    assert code == 0
    connection.close()
    assert waits.stopped.wait(10)
    assert programs.started == [[r"C:\kubelet.exe", "--windows-service"]]


def test_a_crash_closes_the_connection(programs: Programs) -> None:
    connection, code, _ = _start(programs, r"SC:\crash.exe --windows-service")
    assert code == 0
    assert connection.recv(1) == b""
    connection.close()


@pytest.mark.parametrize("program", ["never", "unknown"])
def test_what_does_not_start_says_why(programs: Programs, program: str) -> None:
    connection, code, text = _start(programs, rf"SC:\{program}.exe --windows-service")
    assert code
    assert text
    connection.close()


def test_a_version_is_printed_and_nothing_else_works(programs: Programs) -> None:
    connection, code, text = _start(programs, r"CC:\ctr.exe --version")
    assert (code, "stand-in" in text) == (0, True)
    connection.close()
    connection, code, _ = _start(programs, r"CC:\ctr.exe images import x")
    assert code == 1
    connection.close()
