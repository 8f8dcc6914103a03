# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""The power supply of one machine: runs it in systemd-nspawn, and again when it has asked for a reboot."""

from __future__ import annotations

import fcntl
import subprocess
import sys
from pathlib import Path

from . import cgroups, network, processes
from .machines import Machine
from .settings import TREE, Settings
from .windows import power

REBOOT = 133
"""Status with which systemd-nspawn says that the machine wants a reboot (with --keep-unit)."""


def start(settings: Settings, machine: Machine) -> None:
    """Switch a machine on, unless it is on. Returns before it has booted."""
    if running(settings, machine):
        return
    groups = cgroups.make(settings, "supervisors")
    command = [sys.executable, "-m", "lab", "supervise", machine.name]
    processes.start(processes.enter(groups, command), settings.node(machine.name) / "console.log", cwd=TREE.parent)


def running(settings: Settings, machine: Machine) -> bool:
    """Whether the machine's supervisor is at work: it holds a lock as long as it lives."""
    lock = _lock(settings, machine)
    if not lock.exists():
        return False
    with lock.open() as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def supervise(settings: Settings, machine: Machine) -> int:
    """Run a machine until it is switched off; returns the status of what it ran in."""
    with _lock(settings, machine).open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        groups = cgroups.make(settings, machine.name)
        status = REBOOT
        while status == REBOOT:
            # A real machine forgets its groups and network at a reboot. What is left of pods' groups would cost
            # kubelet 1.5 s each.
            cgroups.empty(groups)
            network.plug(settings, machine)
            inside = power.command(settings, machine) if machine.windows else nspawn(settings, machine)
            command = processes.in_namespace(settings, machine.name, inside)
            status = subprocess.call(processes.enter(groups, command), stdin=subprocess.DEVNULL, env=_environment())
            print(f"supervisor: {machine.name} ended with status {status}", flush=True)
        return status


def nspawn(settings: Settings, machine: Machine) -> list[str | Path]:
    """The command line of the machine. What each option is for was found by leaving it out."""
    folder = settings.node(machine.name)
    filters = ["@keyring"]  # runc gives every container a session keyring
    command: list[str | Path] = ["systemd-nspawn", "--quiet", "--boot", "--register=no", "--keep-unit"]
    command += [f"--directory={folder / 'root'}", f"--machine={settings.namespace(machine.name)}"]
    command += [f"--hostname={machine.name}", "--capability=all", "--drop-capability=CAP_SYS_MODULE"]
    command += [f"--bind={folder / 'var'}:/var", "--bind=/dev/net/tun", "--bind=/dev/kmsg"]
    command += ["--resolv-conf=off", "--timezone=off", "--link-journal=no", "--console=pipe"]
    if cgroups.unified():
        filters.append("bpf")  # there runc decides about devices with a program in the kernel
    elif settings.release != "bookworm":
        # Later systemd refuses the old controllers unless its kernel command line says so.
        command.append("--setenv=SYSTEMD_PROC_CMDLINE=SYSTEMD_CGROUP_ENABLE_LEGACY_FORCE=1")
    return [*command, f"--system-call-filter={' '.join(filters)}"]


def _environment() -> dict[str, str]:
    environment = {
        "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "TERM": "dumb",
        "SYSTEMD_NSPAWN_LOCK": "0",  # our own lock does that, and the file would stay behind
    }
    if cgroups.unified():
        environment["SYSTEMD_NSPAWN_UNIFIED_HIERARCHY"] = "1"
    return environment


def _lock(settings: Settings, machine: Machine) -> Path:
    return settings.node(machine.name) / "lock"
