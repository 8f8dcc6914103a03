# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""A Windows machine as tests use it, and the tree on Python's path."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from working_tree import ROOT, collections_path

sys.path[:0] = [str(ROOT), str(collections_path()), str(ROOT / "tests" / "unit" / "windows")]

from ansible_collections.ovn_k8s.cluster.plugins.plugin_utils.windows_bundle import bundle_files  # noqa: E402
from ansible_collections.ovn_k8s.cluster.plugins.plugin_utils.windows_parts import PartError, Parts  # noqa: E402
from api_server import ApiServer, certificates  # noqa: E402

from lab.windows import wine  # noqa: E402
from lab.windows.hcn_emulator import Emulator  # noqa: E402
from lab.windows.hcn_model import Model, State  # noqa: E402

__all__ = [
    "HANDLES",
    "ROOT",
    "TURNS",
    "ApiServer",
    "Emulator",
    "Model",
    "PartError",
    "Parts",
    "State",
    "Windows",
    "bundle_files",
    "certificates",
    "unpacked",
    "wine",
]


TURNS = int(os.environ.get("OVN_K8S_TEST_TURNS", "500"))
"""How often tests repeat what must not leak."""


HANDLES = """
import ctypes, struct

def handles(pid):
    # From the list of all: Wine's GetProcessHandleCount succeeds and says 0.
    query, size = ctypes.WinDLL("ntdll").NtQuerySystemInformation, ctypes.c_ulong(1 << 16)
    while True:
        buffer = ctypes.create_string_buffer(size.value)
        status = query(64, buffer, size, ctypes.byref(size)) & 0xFFFFFFFF  # SystemExtendedHandleInformation
        if status != 0xC0000004:  # STATUS_INFO_LENGTH_MISMATCH
            break
        size.value = max(size.value, len(buffer)) + (1 << 14)
    assert status == 0, hex(status)
    (count,) = struct.unpack_from("<Q", buffer)
    owners = [struct.unpack_from("<Q", buffer, 16 + 40 * entry + 8)[0] for entry in range(count)]
    assert owners.count(pid), "a process without handles: nothing is counted here"
    return owners.count(pid)
"""
"""For scripts on the machine: `handles(pid)`, how many a process has open."""


def unpacked(base: Path, folder: Path) -> None:
    """Give a machine's folder the disk that all machines start with."""
    subprocess.run(["cp", "-a", "--reflink=auto", str(base / "prefix"), str(folder)], check=True)


class Windows:
    """The machine, the model of its HNS, and how both are used."""

    def __init__(self, machine: wine.WineMachine, emulator: Emulator) -> None:
        self.machine = machine
        self.emulator = emulator

    @property
    def model(self) -> Model:
        return self.emulator.model

    def hns(self, operation: str, seconds: float = 60.0, **request: Any) -> dict[str, Any]:
        """One request to `python -m ovn_k8s.windows.hns`."""
        text = json.dumps({"operation": operation, **request})
        done = self.machine.python("-m", "ovn_k8s.windows.hns", stdin=text, seconds=seconds)
        assert done.stdout, done.stderr
        answer: dict[str, Any] = json.loads(done.stdout)
        assert (done.returncode == 0) == answer["ok"]
        return answer

    def start_service(self, name: str) -> str:
        """Have a service started; what `sc.exe` said. Wine's service control manager refuses while it is busy."""
        for _ in range(10):
            done = self.machine.run("sc", "start", name, seconds=180)
            if done.returncode == 0:
                break
            time.sleep(1)
        return f"{done.returncode} {done.stdout}{done.stderr}"

    def script(self, text: str, seconds: float = 60.0) -> Any:
        """Run a script in the bundle's Python; what it prints is JSON."""
        done = self.machine.python("-c", text, seconds=seconds)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)
