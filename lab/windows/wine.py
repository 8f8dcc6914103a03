# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""A Wine prefix as a Windows machine: the bundle's own binaries, the service control manager, and the emulated HNS.

Wine's powershell.exe, netsh.exe and schtasks.exe are empty and succeed at anything: nothing here may go through them.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path, PureWindowsPath
from typing import TextIO

STUB = Path(__file__).resolve().parent / "stub" / "hcn_stub.c"
COMPILER = "x86_64-w64-mingw32-gcc"
WINESERVERS = ("/usr/lib/wine/wineserver", "/usr/lib/wine/wineserver64")
LIBRARIES = {"computenetwork.dll": ("-DCOMPUTENETWORK",), "vmcompute.dll": ("-DVMCOMPUTE",)}
PROGRAM_DIR = PureWindowsPath(r"C:\Program Files\ovn-k8s")


def missing() -> str:
    """Why there can be no such machine here, or nothing."""
    packages = [
        name for name, program in (("wine", "wine"), ("gcc-mingw-w64-x86-64-win32", COMPILER)) if not _found(program)
    ]
    return f"needs the Debian packages {' and '.join(packages)}" if packages else ""


def _found(program: str) -> bool:
    return shutil.which(program) is not None


def build_program(source: Path, program: Path) -> None:
    """Compile a Windows program."""
    command = [COMPILER, "-O2", "-Wall", "-Wextra", "-Werror", "-static-libgcc", "-s"]
    subprocess.run([*command, "-o", str(program), str(source), "-lws2_32"], check=True)


def build_libraries(folder: Path) -> None:
    """Compile computenetwork.dll and vmcompute.dll into a folder."""
    for name, flags in LIBRARIES.items():
        command = [COMPILER, *flags, "-O2", "-Wall", "-Wextra", "-Werror", "-shared", "-static-libgcc"]
        subprocess.run([*command, "-o", str(folder / name), str(STUB), "-lws2_32", "-lole32"], check=True)


def forget_server(prefix: Path) -> None:
    """Remove what the server of a prefix keeps outside of it: the folder in /tmp that its file `wineserver` names."""
    name = prefix / "wineserver"
    if name.exists():
        shutil.rmtree(f"/tmp/{Path(name.read_text().strip()).name}", ignore_errors=True)
        name.unlink()


class WineMachine:
    """One machine. All that runs on it ends with `stop`, and nothing else does."""

    def __init__(self, folder: Path) -> None:
        self.prefix = folder / "prefix"
        self.events = folder / "events.txt"
        """What services told the event log as errors. Wine keeps none, but prints what it is given."""
        self.environment = {
            "PATH": os.environ.get("PATH", "/usr/bin:/bin"),
            "HOME": str(folder),
            "WINEPREFIX": str(self.prefix),
            "WINEDEBUG": "-all",
            # Wine's own netsh.exe does nothing; where there is another, it is taken.
            "WINEDLLOVERRIDES": "mscoree,mshtml,winemenubuilder.exe=;netsh.exe=n,b",
            "WINEARCH": "win64",
        }

    @property
    def drive(self) -> Path:
        """`C:\\`."""
        return self.prefix / "drive_c"

    @property
    def system32(self) -> Path:
        return self.drive / "windows" / "system32"

    def path(self, path: PureWindowsPath | str) -> Path:
        """Where a file of drive C lies here."""
        return self.drive.joinpath(*PureWindowsPath(path).parts[1:])

    def start(self) -> None:
        """Boot it; the first time it is made, which takes some seconds."""
        first = not self.prefix.exists()
        self.prefix.mkdir(parents=True, exist_ok=True)
        if first:
            self._server("-p")
            self._quietly("wine", "wineboot", "--init")
            self._quietly("wine", "winecfg", "-v", "win10")
            # Windows gives a service 30 s to report, Wine 10 s; on a busy machine neither is enough.
            control = r"HKLM\System\CurrentControlSet\Control"
            timeout = ("/v", "ServicesPipeTimeout", "/t", "REG_DWORD", "/d", "120000", "/f")
            self._quietly("wine", "reg", "add", control, *timeout)
            self.stop()
        # A server that was started by a program ends some seconds after it, and all services with it.
        self._server("-p")
        # Services must not inherit the pipes of a program that somebody waits for: they are started before any.
        with self.events.open("a") as events:
            self._quietly("wine", "wineboot", events=events)

    def stop(self) -> None:
        """End every program on it."""
        self._server("-k")
        self._server("-w")
        forget_server(self.prefix)

    def reboot(self) -> None:
        """Stop and start; services of start type auto start again."""
        self.stop()
        self.start()

    def install_emulation(self, place: str) -> None:
        """Put the libraries of the Host Network Service there; `place` is where the emulator listens."""
        build_libraries(self.system32)
        (self.system32 / "hcn-emulator.txt").write_text(place)

    def install_bundle(self, files: Mapping[str, bytes], folder: PureWindowsPath = PROGRAM_DIR) -> None:
        """Unpack the bundle."""
        for name, content in files.items():
            file = self.path(folder) / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content)

    def run(
        self,
        *command: str,
        stdin: str = "",
        seconds: float = 60.0,
        environment: Mapping[str, str] | None = None,
        folder: Path | None = None,
    ) -> subprocess.CompletedProcess[str]:
        """Run a program and wait for it. Python for Windows wants pipes: it dies when one of the three is a file."""
        return subprocess.run(
            ["wine", *command],
            env={**self.environment, **(environment or {})},
            input=stdin,
            capture_output=True,
            text=True,
            errors="replace",
            cwd=folder,
            timeout=seconds,
            check=False,
        )

    def python(self, *arguments: str, stdin: str = "", seconds: float = 60.0) -> subprocess.CompletedProcess[str]:
        """Run the bundle's Python."""
        return self.run(str(PROGRAM_DIR / "python.exe"), *arguments, stdin=stdin, seconds=seconds)

    def _quietly(self, *command: str, events: TextIO | None = None) -> None:
        null = subprocess.DEVNULL
        environment = self.environment | ({"WINEDEBUG": "-all,err+eventlog"} if events else {})
        subprocess.run(
            command, env=environment, stdin=null, stdout=null, stderr=events or null, check=True, timeout=120
        )

    def _server(self, option: str) -> None:
        server = next((path for path in WINESERVERS if Path(path).exists()), "wineserver")
        null = subprocess.DEVNULL
        subprocess.run([server, option], env=self.environment, stdout=null, stderr=null, check=False, timeout=60)
