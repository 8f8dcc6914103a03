# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""What all modelled machines start from, made once: a Wine prefix of Windows Server 2022, and programs."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from .openvswitch import PROGRAMS as OPENVSWITCH
from .wine import STUB, WineMachine, build_libraries, build_program

KUBERNETES_PROGRAMS = (
    "kubelet.exe",
    "kube-proxy.exe",
    "kube-log-runner.exe",
    "containerd.exe",
    "containerd-shim-runhcs-v1.exe",
    "ctr.exe",
    "dockerd.exe",
    "docker.exe",
    "cri-dockerd.exe",
)
"""Programs of other projects that the role installs, and of which the lab has none for Windows."""

_INSTALL = r"""@echo off
set bin=C:\openvswitch\usr\sbin
sc create ovsdb-server start= auto binPath= "%bin%\ovsdb-server.exe --remote=ptcp:6640:127.0.0.1 --service"
sc create ovs-vswitchd start= auto depend= ovsdb-server binPath= "%bin%\ovs-vswitchd.exe --service"
sc create ovn-controller start= auto depend= ovs-vswitchd binPath= "%bin%\ovn-controller.exe --service"
sc start ovsdb-server
sc start ovs-vswitchd
sc start ovn-controller
"""
"""What Antrea's Install-OVS.ps1 does in the end, and OVN's program as a service likewise."""
_UNINSTALL = "@echo off\n" + "".join(
    f"sc {verb} {name}\n" for verb in ("stop", "delete") for name in reversed(OPENVSWITCH)
)

_VERSION = r"HKLM\Software\Microsoft\Windows NT\CurrentVersion"
_REGISTRY = (
    (_VERSION, "CurrentBuildNumber", "REG_SZ", "20348"),
    (_VERSION, "CurrentBuild", "REG_SZ", "20348"),
    (_VERSION, "UBR", "REG_DWORD", "2762"),
    (_VERSION, "InstallationType", "REG_SZ", "Server Core"),
    (_VERSION, "EditionID", "REG_SZ", "ServerDatacenter"),
    (_VERSION, "ProductName", "REG_SZ", "Windows Server 2022 Datacenter"),
)


def make(folder: Path) -> None:
    """Make `prefix/`, `libraries/` (of HNS), `service.exe` and `binaries/` in an empty folder."""
    machine = WineMachine(folder)
    machine.start()
    try:
        for key, name, kind, value in _REGISTRY:
            machine.run("reg", "add", key, "/v", name, "/t", kind, "/d", value, "/f")
    finally:
        machine.stop()
    build_program(STUB.with_name("netsh_stub.c"), machine.system32 / "netsh.exe")
    (folder / "libraries").mkdir()
    build_libraries(folder / "libraries")
    build_program(STUB.with_name("program_stub.c"), folder / "service.exe")
    (folder / "binaries").mkdir()
    for name in KUBERNETES_PROGRAMS:
        shutil.copy(folder / "service.exe", folder / "binaries" / name)
    place = machine.drive / "openvswitch"
    (place / "usr/sbin").mkdir(parents=True)
    for name in OPENVSWITCH:
        shutil.copy(folder / "service.exe", place / "usr/sbin" / f"{name}.exe")
    for name, text in (("install", _INSTALL), ("uninstall", _UNINSTALL)):
        (place / f"{name}.cmd").write_text(text, newline="\r\n")


if __name__ == "__main__":
    make(Path(sys.argv[1]))
