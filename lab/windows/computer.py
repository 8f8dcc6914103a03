# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""A modelled Windows Server: what it remembers, its drive, its programs, and how it goes down."""

from __future__ import annotations

import json
import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

from .drive import Drive
from .features import FEATURES
from .wine import WineMachine

HOME = r"C:\Users\Administrator"
RESTART_KEY = r"HKLM\Software\Microsoft\Windows\CurrentVersion\Component Based Servicing\RebootPending"
TIMED_OUT, SHUTDOWN_IN_PROGRESS = 1460, 1115
"""ERROR_TIMEOUT, ERROR_SHUTDOWN_IN_PROGRESS."""
VARIABLES = {
    "SystemDrive": "C:",
    "SystemRoot": r"C:\windows",
    "windir": r"C:\windows",
    "ProgramData": r"C:\ProgramData",
    "ProgramFiles": r"C:\Program Files",
    "ALLUSERSPROFILE": r"C:\ProgramData",
    "USERPROFILE": HOME,
    "LOCALAPPDATA": HOME + r"\AppData\Local",
    "TEMP": HOME + r"\AppData\Local\Temp",
    "TMP": HOME + r"\AppData\Local\Temp",
}


@dataclass
class Memory:
    """What survives a restart."""

    hostname: str
    boot: float = 0.0
    """Seconds since 1970 at which it booted."""
    features: list[str] = field(default_factory=list)
    features_pending: list[str] = field(default_factory=list)
    """Installed, but the machine was not restarted since."""
    restart_needed: bool = False


class Computer:
    """One machine. `folder` has its Wine prefix and its memory, `base` what was made for all (`base.py`)."""

    def __init__(self, folder: Path, base: Path, hostname: str) -> None:
        self.base = base
        self.wine = WineMachine(folder)
        self.lock = threading.RLock()
        """Held while a module is at work: Windows has one state."""
        self._down = False
        self._file = folder / "memory.json"
        stored = json.loads(self._file.read_text()) if self._file.exists() else {"hostname": hostname}
        self.memory = Memory(**stored)
        self.drive = Drive(self.wine.drive, {**VARIABLES, "COMPUTERNAME": self.memory.hostname})
        self.restart: Callable[[], None] = lambda: None
        """Called when the machine goes down to start again."""

    def boot(self) -> None:
        """Start. What waited for a restart is done now."""
        memory = self.memory
        memory.boot = time.time()
        new, memory.features_pending = memory.features_pending, []
        memory.features += new
        if "Containers" in memory.features:
            self._put_libraries()
        self.wine.start()
        for name in new:
            for service in FEATURES[name].services:
                command = rf"C:\windows\system32\{service}.exe --windows-service"
                self.wine.run("sc", "create", service, "binPath=", command, "start=", "auto")
                self.wine.run("sc", "start", service)
        if memory.restart_needed:
            memory.restart_needed = False
            self.wine.run("reg", "delete", RESTART_KEY, "/f")
        for folder in (VARIABLES["TEMP"], VARIABLES["ProgramData"]):
            self.drive.make_folder(folder)
        self.save()

    def stop(self) -> None:
        """End all programs; none is started any more."""
        self._down = True
        self.wine.stop()

    def _put_libraries(self) -> None:
        """What the feature Containers brings to system32: the libraries of HNS, and its services."""
        for library in sorted((self.base / "libraries").iterdir()):
            self._put(library, library.name)
        for service in FEATURES["Containers"].services:
            self._put(self.base / "service.exe", f"{service}.exe")

    def _put(self, source: Path, name: str) -> None:
        target = self.wine.system32 / name
        if not target.exists():
            shutil.copy(source, target)

    def add_features(self, names: list[str]) -> None:
        """Install features; they work after the next restart."""
        self.memory.features_pending += names
        self.memory.restart_needed = True
        self.wine.run("reg", "add", RESTART_KEY, "/f")
        self.save()

    def run(
        self,
        *command: str,
        stdin: str = "",
        seconds: float = 60.0,
        environment: Mapping[str, str] | None = None,
        folder: str | None = None,
    ) -> subprocess.CompletedProcess[str]:
        """Run a program in a folder of the machine; one that does not end in time has the exit code 1460."""
        if self._down:
            return subprocess.CompletedProcess(command, SHUTDOWN_IN_PROGRESS, "", "the machine goes down")
        place = self.drive.place(folder or HOME)
        try:
            return self.wine.run(*command, stdin=stdin, seconds=seconds, environment=environment, folder=place)
        except subprocess.TimeoutExpired:
            return subprocess.CompletedProcess(command, TIMED_OUT, "", f"stopped after {seconds:g} s")

    def save(self) -> None:
        """Keep what it remembers."""
        new = self._file.with_suffix(".new")
        new.write_text(json.dumps(asdict(self.memory), indent=1))
        new.replace(self._file)

    def restart_in(self, seconds: float) -> None:
        """As `shutdown /r /t SECONDS`."""

        def go_down() -> None:
            time.sleep(seconds)
            with self.lock:
                self.restart()

        threading.Thread(target=go_down, name="shutdown", daemon=True).start()
