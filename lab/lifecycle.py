# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""From nothing to a running lab and back."""

from __future__ import annotations

import fcntl
import json
import os
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from . import binaries, cgroups, control, disk, images, keys, mounts, network, packages, root, supervisor
from .cache import Cache
from .machines import MACHINES, Machine
from .processes import in_namespace, run
from .progress import say, step
from .settings import LabError, Settings
from .windows import power

BOOT_SECONDS = 90
"""How long a machine may take to boot; about 3 s is usual."""
STARTED_SECONDS = 20
"""After so long its supervisor is at work, on a busy host too, or has ended."""


def up(settings: Settings) -> None:
    """Have the lab running. What runs already stays as it is."""
    begun = time.monotonic()
    with _alone(settings):
        record = _record(settings)
        cache = Cache(settings.cache)
        base = Path(record["root"]) if "root" in record else root.ensure(settings, cache)
        if not base.is_dir():
            raise LabError(f"the running lab's root {base} is gone from the cache: make lab-down, then make lab-up")
        package_folder = packages.ensure(settings, cache, base)
        programs = binaries.ensure(settings, cache)
        image_folder = images.ensure(settings, cache)
        settings.state.mkdir(parents=True, exist_ok=True, mode=0o755)
        record.update(root=str(base), release=settings.release, name=settings.name)
        if settings.windows:
            record.setdefault("windows", str(power.base(cache)))
        (settings.state / "lab.json").write_text(json.dumps(record, indent=1))
        for name, folder in (("packages", package_folder), ("binaries", programs), ("images", image_folder)):
            _point(settings.state / name, folder)
        if settings.windows:
            _point(settings.state / "windows-parts", power.bundle_parts(cache))
            _point(settings.state / "windows-openvswitch", power.openvswitch(cache, base, package_folder))
            _point(settings.state / "windows-binaries", Path(record["windows"]) / "binaries")
        keys.ensure(settings)
        network.build(settings)
        control.ensure_programs(settings)
        off = [m for m in machines(settings) if not supervisor.running(settings, m)]
        if off:
            with step(f"boot {', '.join(m.name for m in off)}"):
                for machine in off:
                    _ensure_disk(settings, machine, record)
                    supervisor.start(settings, machine)
                _wait(settings, off)
    say(f"up after {time.monotonic() - begun:.1f} s: make lab-ssh NODE=linux1, make lab-shell, make lab-down")


def down(settings: Settings) -> None:
    """Leave nothing of the lab: processes, mounts, namespaces, control groups, files. It is not a clean shutdown."""
    with _alone(settings), step("take the lab down"):
        spared = _ancestors()
        for _ in range(5):
            left = _processes(settings) - spared
            if not left:
                break
            left = cgroups.end(left)
        if left:
            raise LabError(f"processes {sorted(left)} do not end even when killed: the host needs a restart")
        if settings.state.exists():
            if not (settings.state / "lab.json").exists() and any(settings.state.iterdir()):
                raise LabError(f"LAB_STATE={settings.state} was not made by the lab (no lab.json there): not removed")
            power.forget(settings)
            mounts.remove(settings.state)
        network.remove(settings)
        for machine in MACHINES:
            name = settings.namespace(machine.name)
            for path in (f"/run/systemd/nspawn/propagate/{name}", f"/run/systemd/nspawn/unix-export/{name}"):
                if Path(path).is_dir():
                    mounts.remove(Path(path))
        deadline = time.monotonic() + 10
        while groups := cgroups.lab_groups(settings):
            cgroups.empty(groups)
            for group in groups:
                try:
                    group.rmdir()
                except OSError as error:
                    if time.monotonic() > deadline:
                        raise LabError(f"control group {group} cannot be removed: {error.strerror}") from error
                    time.sleep(0.05)


def power_off(settings: Settings, machine: Machine) -> None:
    """Take the power from a machine: it has no time to say good-bye. Its disk stays."""
    with _alone(settings), step(f"power off {machine.name}"):
        groups = [group / machine.name for group in cgroups.lab_groups(settings)]
        pid = _supervisor_pid(settings, machine)
        left = cgroups.end(pid)
        for _ in range(5):
            left = cgroups.end(set(cgroups.processes(groups)))
        if left:
            raise LabError(f"{machine.name}: processes {sorted(left)} do not end even when killed")
        network.unplug(settings, machine)


def power_on(settings: Settings, machine: Machine) -> None:
    """Switch a machine on and wait until it has booted."""
    with _alone(settings), step(f"boot {machine.name}"):
        _ensure_disk(settings, machine, _record(settings))
        supervisor.start(settings, machine)
        _wait(settings, [machine])


def reboot(settings: Settings, machine: Machine) -> None:
    """Reboot a machine as its administrator would, and wait until it is back."""
    if machine.windows:
        _reboot_windows(settings, machine)
        return
    with step(f"reboot {machine.name}"):
        before = control.answer(settings, machine, "cat", "/proc/sys/kernel/random/boot_id")
        if before.returncode:
            raise LabError(f"{machine.name} does not answer: {before.stderr.strip()}")
        control.answer(settings, machine, "systemctl", "--no-block", "reboot")
        deadline = time.monotonic() + BOOT_SECONDS
        while True:
            now = control.answer(settings, machine, "cat", "/proc/sys/kernel/random/boot_id", seconds=5)
            if now.returncode == 0 and now.stdout != before.stdout:
                break
            if time.monotonic() > deadline:
                raise LabError(f"{machine.name} is not back after {BOOT_SECONDS} s: see {_console(settings, machine)}")
            time.sleep(0.2)
        _wait(settings, [machine])


def windows_datapath(settings: Settings, name: str | None = None) -> str:
    """What the inventory says of the Windows machines, and from now on; `other`: the one that it does not say now.

    For `ovs` Open vSwitch is installed on them, as their administrator would do it. Raises LabError.
    """
    now = power.datapath(settings)
    if name == "other":
        name = next(one for one in power.DATAPATHS if one != now)
    if name is None or name == now:
        return now
    for machine in (one for one in machines(settings) if one.windows and name == power.OVS):
        if not power.booted(settings, machine):
            raise LabError(f"{machine.name} is not up: make lab-up")
        if not power.has_openvswitch(settings, machine):
            with step(f"install Open vSwitch on {machine.name}"):
                run(in_namespace(settings, "ctl", power.console(settings, machine, power.INSTALL)))
    power.datapath_file(settings).write_text(f"{name}\n")
    return name


def _reboot_windows(settings: Settings, machine: Machine) -> None:
    with step(f"reboot {machine.name}"):
        before = power.booted(settings, machine)
        if not before:
            raise LabError(f"{machine.name} is not up")
        run(in_namespace(settings, "ctl", power.console(settings, machine, "shutdown", "/r", "/t", "2")))
        power.wait(settings, machine, before)


def _ensure_disk(settings: Settings, machine: Machine, record: dict[str, str]) -> None:
    if machine.windows:
        power.ensure_disk(settings, machine, Path(record["windows"]))
    else:
        disk.ensure(settings, machine, Path(record["root"]))


def machines(settings: Settings) -> list[Machine]:
    """The machines that this lab has."""
    return [machine for machine in MACHINES if settings.windows or not machine.windows]


def _wait(settings: Settings, machines: list[Machine]) -> None:
    """Wait until machines have booted and all their units have started."""
    with ThreadPoolExecutor(len(machines)) as pool:
        for machine, fault in zip(machines, pool.map(lambda m: _booted(settings, m), machines), strict=True):
            if fault:
                raise LabError(f"{machine.name} did not boot: {fault}\nIts console: {_console(settings, machine)}")


def _booted(settings: Settings, machine: Machine) -> str:
    """Wait for one machine; returns what is wrong with it, or nothing."""
    if machine.windows:
        power.wait(settings, machine)
        return ""
    deadline = time.monotonic() + BOOT_SECONDS
    fault = ""
    while time.monotonic() < deadline:
        state = control.answer(settings, machine, "systemctl", "is-system-running", "--wait", seconds=BOOT_SECONDS)
        if state.stdout.strip() == "running":
            return ""
        if state.stdout.strip() == "degraded":
            failed = control.answer(settings, machine, "systemctl", "--failed", "--plain", "--no-legend").stdout
            say(f"{machine.name} has booted, but units of it have failed:\n{failed.rstrip()}")
            return ""
        fault = (state.stderr or state.stdout).strip()
        if not supervisor.running(settings, machine) and time.monotonic() > deadline - BOOT_SECONDS + STARTED_SECONDS:
            return "systemd-nspawn has ended"
        time.sleep(0.1)
    return fault or "no answer"


def _processes(settings: Settings) -> set[int]:
    """Everything that belongs to the lab: what is in its control groups or in one of its namespaces."""
    found = set(cgroups.processes(cgroups.lab_groups(settings)))
    inodes = network.inodes(settings)
    for process in Path("/proc").iterdir():
        if process.name.isdigit():
            try:
                if (process / "ns/net").stat().st_ino in inodes:
                    found.add(int(process.name))
            except OSError:
                continue
    return found


def _supervisor_pid(settings: Settings, machine: Machine) -> set[int]:
    groups = [group / "supervisors" for group in cgroups.lab_groups(settings)]
    wanted = f"\0supervise\0{machine.name}\0".encode()
    found = set()
    for pid in set(cgroups.processes(groups)):
        try:
            if Path(f"/proc/{pid}/cmdline").read_bytes().endswith(wanted):
                found.add(pid)
        except OSError:
            continue
    return found


def _ancestors() -> set[int]:
    """This process and those that wait for it, which must not be ended with the lab."""
    found, pid = set(), os.getpid()
    while pid > 1:
        found.add(pid)
        status = Path(f"/proc/{pid}/stat").read_text()
        pid = int(status.rsplit(")", 1)[1].split()[1])
    return found


def _record(settings: Settings) -> dict[str, str]:
    """What the running lab was made with; empty when there is none."""
    try:
        record: dict[str, str] = json.loads((settings.state / "lab.json").read_text())
    except (OSError, ValueError):
        return {}
    if record.get("release", settings.release) != settings.release:
        raise LabError(f"the lab runs {record['release']}, not LAB_RELEASE={settings.release}: make lab-down first")
    return record


def _point(link: Path, target: Path) -> None:
    """Have a symbolic link, without a moment in which it is not there."""
    if not link.is_symlink() or link.readlink() != target:
        new = link.with_name(f".{link.name}.new")
        new.unlink(missing_ok=True)
        new.symlink_to(target)
        new.rename(link)


def _console(settings: Settings, machine: Machine) -> Path:
    return settings.node(machine.name) / "console.log"


@contextmanager
def _alone(settings: Settings) -> Iterator[None]:
    """Keep two commands from changing one lab at once."""
    if os.geteuid():
        raise LabError("the lab makes namespaces and mounts: run it as root")
    with Path(f"/run/lock/{settings.name}-lab.lock").open("w") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("another command is at work on the lab: waiting for it")
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield
