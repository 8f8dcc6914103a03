# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""A console program that one of our services runs, as cri-dockerd's (evidence: Wine)."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from windows_machine import Windows, wine

PYTHON = wine.PROGRAM_DIR / "python.exe"
FOLDER = r"C:\ProgramData\hosted"
PROGRAM = rf"""
import os, sys, time
print("began", *sys.argv[1:], flush=True)
while not os.path.exists(r"{FOLDER}\end"):
    open(r"{FOLDER}\alive", "a").write(".")
    time.sleep(0.1)
sys.exit("went wrong")
"""


class Hosted:
    """The service `demo`."""

    def __init__(self, windows: Windows) -> None:
        self._windows, self._machine = windows, windows.machine
        self.folder = windows.machine.path(FOLDER)
        self.folder.mkdir(parents=True, exist_ok=True)
        for file in self.folder.iterdir():
            file.unlink()
        (self.folder / "program.py").write_text(PROGRAM)
        command = (
            rf'"{PYTHON}" -m ovn_k8s.windows.hosted "{FOLDER}\demo.log" "{PYTHON}" "{FOLDER}\program.py" "two words"'
        )
        self.sc("create", "binPath=", command)

    def sc(self, verb: str, *more: str) -> str:
        return self._machine.run("sc", verb, "demo", *more, seconds=180).stdout

    def start(self) -> None:
        self._windows.start_service("demo")

    @property
    def alive(self) -> Path:
        return self.folder / "alive"

    def log(self) -> str:
        file = self.folder / "demo.log"
        return file.read_text() if file.exists() else ""

    def wait(self, what: str, condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + 90
        while not condition():
            assert time.monotonic() < deadline, f"{what}\n{self.sc('query')}\n{self.log()}"
            time.sleep(0.1)

    def kill(self) -> None:
        """End the service's own process by force."""
        for place in Path("/proc").glob("[0-9]*"):
            try:
                words = (place / "cmdline").read_bytes().split(b"\0")
            except OSError:
                continue
            if b"ovn_k8s.windows.hosted" in words and rf"{FOLDER}\demo.log".encode() in words:
                os.kill(int(place.name), signal.SIGKILL)

    def dead(self) -> bool:
        """Whether the program does nothing more."""
        before = self.alive.stat().st_size
        time.sleep(1)
        return self.alive.stat().st_size == before


@pytest.fixture
def hosted(windows: Windows) -> Iterator[Hosted]:
    made = Hosted(windows)
    try:
        yield made
    finally:
        (made.folder / "end").touch()
        made.sc("stop")
        made.sc("delete")


def test_a_console_program_runs_as_long_as_its_service(hosted: Hosted) -> None:
    hosted.start()
    hosted.wait("it does not run", lambda: "RUNNING" in hosted.sc("query") and hosted.alive.exists())
    assert hosted.log().splitlines() == ["began two words"]
    assert not hosted.dead()
    hosted.sc("stop")
    hosted.wait("it does not stop", lambda: "STOPPED" in hosted.sc("query"))
    assert hosted.dead()

    hosted.start()
    hosted.wait("it does not run again", lambda: hosted.log().count("began two words") == 2 and not hosted.dead())
    hosted.kill()
    hosted.wait("it outlives its service", hosted.dead)

    hosted.start()
    hosted.wait("it does not run after that", lambda: hosted.log().count("began two words") == 3)
    (hosted.folder / "end").touch()
    hosted.wait("the service does not end with it", lambda: "STOPPED" in hosted.sc("query"))
    assert "went wrong" in hosted.log()
