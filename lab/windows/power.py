# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""A modelled Windows machine as a part of the lab: its disk, its command line, how it is reached and when it is up."""

from __future__ import annotations

import shutil
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
DATAPATHS = HYBRID_OVERLAY, OVS = "hybrid_overlay", "ovs"
INSTALL = r"C:\openvswitch\install.cmd"
OPENVSWITCH = {
    "ovs-vswitchd": "usr/lib/openvswitch-switch/ovs-vswitchd",
    "ovsdb-server": "usr/sbin/ovsdb-server",
    "ovn-controller": "usr/bin/ovn-controller",
    "ovsdb-tool": "usr/bin/ovsdb-tool",
    "ovs-vsctl": "usr/bin/ovs-vsctl",
}
"""Programs whose work stands for that of Open vSwitch and OVN for Windows, and where their packages have them."""


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


def openvswitch(cache: Cache, root: Path, packages: Path) -> Path:
    """Open vSwitch and OVN as the other machines have them, for this host to run; the programs lie in `bin/`.

    An OVN that is older than the masters' does not understand all that they say. `root` is what Debian machines start
    from, `packages` the folder of packages that they install.
    """
    names = ("openvswitch-common", "openvswitch-switch", "ovn-common", "ovn-host", "lib*")
    found = sorted(package for name in names for package in packages.glob(f"{name}_*.deb"))

    def make(folder: Path) -> None:
        for package in found:
            run(["dpkg-deb", "--extract", package, folder])
        libraries, here = Path("usr/lib/x86_64-linux-gnu"), folder / "usr/lib/x86_64-linux-gnu"
        for library in (root / libraries).glob("*.so*"):
            if library.is_file() and not (here / library.name).exists():
                shutil.copy(library, here / library.name)
        (folder / "bin").mkdir()
        for name, place in OPENVSWITCH.items():
            script = (
                '#!/bin/sh\nhere=$(dirname "$(readlink -f "$0")")/..\n'
                f'exec "$here/{libraries}/ld-linux-x86-64.so.2" --argv0 {name} --library-path "$here/{libraries}" '
                f'"$here/{place}" "$@"\n'
            )
            (folder / "bin" / name).write_text(script)
            (folder / "bin" / name).chmod(0o755)

    inputs: list[str | Path] = [root.parent.name, packages.parent.name, TREE / "windows/power.py"]
    return cache.entry("windows-openvswitch", "Open vSwitch for the Windows machine", inputs, make)


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
    words += ["--openvswitch", settings.state / "windows-openvswitch"]
    return [*words, "--mtu", str(settings.underlay_mtu)]


def datapath_file(settings: Settings) -> Path:
    """What the inventory reads `windows_datapath` from."""
    return settings.state / "windows/datapath"


def datapath(settings: Settings) -> str:
    """What the inventory says."""
    file = datapath_file(settings)
    return file.read_text().strip() if file.exists() else HYBRID_OVERLAY


def has_openvswitch(settings: Settings, machine: Machine) -> bool:
    """Whether it was installed on the machine."""
    return (settings.node(machine.name) / "root/prefix/drive_c/openvswitch/conf.db").exists()


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
