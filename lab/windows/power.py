# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""A modelled Windows machine as a part of the lab: its disk, its command line, how it is reached and when it is up."""

from __future__ import annotations

import time
from pathlib import Path

from ..cache import Cache
from ..control import tools
from ..machines import Machine
from ..mounts import mounts_below
from ..network import compartments
from ..processes import run
from ..settings import TREE, LabError, Settings
from .wine import forget_server

BOOT_SECONDS = 120


def base(cache: Cache) -> Path:
    """What all such machines start from; made once."""
    inputs = [TREE / "windows/base.py", TREE / "windows/wine.py", TREE / "windows/stub"]

    def make(folder: Path) -> None:
        run([tools() / "bin/python", "-m", "lab.windows.base", folder], cwd=TREE.parent)

    return cache.entry("windows", "a Windows machine made of Wine", inputs, make)


def bundle_parts(cache: Cache) -> Path:
    """The parts of the Windows bundle; fetched once."""
    sources = [TREE / "windows/parts.py", TREE.parent / "plugins/plugin_utils/windows_parts.py"]

    def make(folder: Path) -> None:
        run([tools() / "bin/python", "-m", "lab.windows.parts", folder], cwd=TREE.parent)

    return cache.entry("windows-parts", "parts of the Windows bundle", sources, make)


def ensure_disk(settings: Settings, machine: Machine, cached: Path) -> None:
    """Have the disk of a machine that is off mounted: what it writes lies over the base."""
    folder = settings.node(machine.name)
    for part in ("upper", "work", "root"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    if not mounts_below(folder / "root"):
        layers = f"lowerdir={cached},upperdir={folder}/upper,workdir={folder}/work"
        run(["mount", "-t", "overlay", f"{settings.name}-{machine.name}", str(folder / "root"), "-o", layers])
    (folder / "root/ready").unlink(missing_ok=True)  # is still there when the power was cut


def command(settings: Settings, machine: Machine) -> list[str | Path]:
    """The command line of the machine; it runs in the machine's network namespace, from the tree."""
    root = settings.node(machine.name) / "root"
    # Wine takes the computer's name from the kernel.
    words: list[str | Path] = ["unshare", "--uts", "--", "sh", "-c", 'hostname "$0" && exec "$@"', machine.name]
    words += [tools() / "bin/python", "-m", "lab.windows.machine", "--name", machine.name]
    words += ["--management", machine.management, "--underlay", machine.underlay, "--folder", root, "--base", root]
    words += ["--credentials", settings.state / "windows", "--images", settings.state / "images"]
    words += ["--namespace", settings.namespace(machine.name), "--compartments", compartments(settings, machine)]
    return [*words, "--mtu", str(settings.underlay_mtu)]


def console(settings: Settings, machine: Machine, *words: str) -> list[str]:
    """The command line that runs a command on the machine, from the control namespace."""
    options = ["--address", machine.management, "--credentials", str(settings.state / "windows")]
    return [str(tools() / "bin/python"), "-m", "lab.windows.console", *options, *(words or ("systeminfo",))]


def booted(settings: Settings, machine: Machine) -> str:
    """When it has booted, in seconds since 1970; empty while it is not up."""
    try:
        return (settings.node(machine.name) / "root/ready").read_text().strip()
    except OSError:
        return ""


def wait(settings: Settings, machine: Machine, before: str = "") -> None:
    """Wait until it is up, and again if it was up `before`."""
    deadline = time.monotonic() + BOOT_SECONDS
    while booted(settings, machine) in ("", before):
        if time.monotonic() > deadline:
            log = settings.node(machine.name) / "console.log"
            raise LabError(f"{machine.name} is not up after {BOOT_SECONDS} s: see {log}")
        time.sleep(0.2)


def forget(settings: Settings) -> None:
    """Remove what Wine keeps outside of the machines' disks."""
    for prefix in settings.state.glob("nodes/*/root/prefix"):
        forget_server(prefix)
