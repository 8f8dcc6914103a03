# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""Both OVN databases with a real ovn-northd, and chassis that real ovn-controllers register (no packets)."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ovsdb_servers import Server

PROGRAMS = ("ovn-northd", "ovn-controller", "ovs-vswitchd", "ovn-nbctl", "ovs-vsctl", "ovn-trace")


def absent() -> str:
    """Why it cannot run here, or an empty string."""
    names = [program for program in PROGRAMS if not shutil.which(program)]
    return f"not installed: {', '.join(names)}" if names else ""


def eventually(probe: Callable[[], Any], what: str, seconds: float = 20.0) -> Any:
    """The first true answer of `probe`."""
    deadline = time.monotonic() + seconds
    while not (answer := probe()):
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds:g} s: {what}")
        time.sleep(0.05)
    return answer


class SouthboundRig:
    """`northbound` and `southbound` are their servers; `close` ends everything."""

    def __init__(self, new_server: Callable[..., Server], *, listen: str = "") -> None:
        self._new_server = new_server
        self.northbound = new_server("OVN_Northbound", initialise=False)
        self.southbound = new_server("OVN_Southbound", initialise=False, listen=[listen] if listen else [])
        self.folder = Path(tempfile.mkdtemp(prefix="ovn-"))
        self._processes: list[subprocess.Popen[bytes]] = []
        remotes = [f"--ovnnb-db={self.northbound.remote}", f"--ovnsb-db={self.southbound.remote}"]
        self._start(["ovn-northd", *remotes, f"--unixctl={self.folder}/northd.ctl"], {})
        eventually(lambda: self.southbound.rows("SB_Global"), "northd initialises the databases")

    def _start(self, command: list[str], environment: dict[str, str]) -> None:
        log = self.folder / f"{len(self._processes)}.log"
        command = [*command, "--no-chdir", "-vconsole:off", f"--log-file={log}"]
        self._processes.append(subprocess.Popen(command, env={**os.environ, **environment}))

    def nbctl(self, *arguments: str) -> None:
        """Run ovn-nbctl and wait until the southbound database has it."""
        command = ["ovn-nbctl", f"--db={self.northbound.remote}", "--wait=sb", *arguments]
        subprocess.run(command, check=True, capture_output=True, timeout=30)

    def chassis(self, name: str, **external_ids: str) -> None:
        """A machine with Open vSwitch on the dummy datapath and an ovn-controller."""
        switch = self._new_server("Open_vSwitch")
        environment = {"OVS_RUNDIR": str(switch.folder), "OVN_RUNDIR": str(switch.folder)}
        dummy = ["--enable-dummy=override", "--disable-system", "--disable-system-route"]
        self._start(["ovs-vswitchd", switch.remote, *dummy, f"--unixctl={switch.folder}/v.ctl"], environment)
        ids = {
            "system-id": name,
            "hostname": f"{name}.example",
            "ovn-remote": self.southbound.remote,
            "ovn-encap-type": "geneve",
            **{key.replace("_", "-"): value for key, value in external_ids.items()},
        }
        settings = [f'external-ids:{key}="{value}"' for key, value in ids.items()]
        command = ["ovs-vsctl", f"--db={switch.remote}", "set", "Open_vSwitch", ".", *settings]
        subprocess.run([*command, "--", "add-br", "br-int"], check=True, capture_output=True, timeout=30)
        self._start(["ovn-controller", switch.remote], environment)
        eventually(lambda: name in {row["name"] for row in self.southbound.rows("Chassis")}, f"chassis {name}")

    def close(self) -> None:
        """End what runs and remove what was made."""
        for process in reversed(self._processes):
            process.kill()
            process.wait()
        shutil.rmtree(self.folder)
