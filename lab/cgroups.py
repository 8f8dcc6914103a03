# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""Control groups: one for each machine, so that every systemd and every kubelet has a hierarchy of its own.

On a host with the old controllers (v1, hybrid) the machine's group is made in every hierarchy, below the group that the
lab command runs in. On a host with the unified hierarchy (v2) it is made at the top, where inner groups may have
controllers without regard to our own process; that half has not been tried on such a host.
Sources: cgroups(7), the kernel's admin-guide/cgroup-v2.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from .settings import LabError, Settings


@dataclass(frozen=True)
class Hierarchy:
    """A mounted hierarchy. ``controllers`` is empty for v2, ``name=systemd`` and the like for a named one."""

    controllers: str
    here: Path
    """Folder of the group that this process is in."""

    @property
    def top(self) -> Path:
        """Folder of the mounted hierarchy's first group."""
        folder = self.here
        while (folder.parent / "cgroup.procs").exists():
            folder = folder.parent
        return folder


def unified() -> bool:
    """Whether the host has only the unified hierarchy (cgroup v2)."""
    return Path("/sys/fs/cgroup/cgroup.controllers").exists()


def hierarchies() -> list[Hierarchy]:
    """Every hierarchy that is mounted, with the group of this process."""
    mounted: dict[str, tuple[str, str]] = {}
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        before, _, after = line.partition(" - ")
        kind, _, options = after.split(" ")[:3]
        if kind == "cgroup2":
            mounted.setdefault("", (before.split()[3], before.split()[4]))
        elif kind == "cgroup":
            for option in options.split(","):
                mounted.setdefault(option, (before.split()[3], before.split()[4]))
    found = []
    for line in Path("/proc/self/cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers.split(",")[0] in mounted:
            root, point = mounted[controllers.split(",")[0]]
            below = path.removeprefix(root.rstrip("/")).lstrip("/")
            found.append(Hierarchy(controllers, Path(point) / below))
    return found


def lab_groups(settings: Settings) -> list[Path]:
    """The lab's groups as they are now, wherever the lab was started from."""
    name = f"{settings.name}-lab"
    found = []
    for hierarchy in hierarchies():
        for parent, folders, _ in os.walk(hierarchy.top):
            if name in folders:
                found.append(Path(parent) / name)
                folders.clear()
            elif "kubepods" in folders:
                folders.remove("kubepods")
    return found


def make(settings: Settings, part: str) -> list[Path]:
    """Make the groups of one part of the lab (a machine, or the lab's own programs) in every hierarchy."""
    made = []
    existing = {group.parent: group for group in lab_groups(settings)}
    for hierarchy in hierarchies():
        base = hierarchy.top if unified() else hierarchy.here
        for parent in existing:
            if hierarchy.top == parent or hierarchy.top in parent.parents:
                base = parent
        lab = base / f"{settings.name}-lab"
        group = lab / part
        group.mkdir(parents=True, exist_ok=True)
        for level in (lab, group):
            if "cpuset" in hierarchy.controllers.split(","):
                for setting in ("cpuset.cpus", "cpuset.mems"):
                    (level / setting).write_text((base / setting).read_text())
        if unified():
            for level in (base, lab):
                _delegate(level)
        made.append(group)
    return made


def _delegate(group: Path) -> None:
    """Let the groups below have all the controllers that this one has (v2)."""
    wanted = set((group / "cgroup.controllers").read_text().split())
    active = set((group / "cgroup.subtree_control").read_text().split())
    if missing := sorted(wanted - active):
        try:
            (group / "cgroup.subtree_control").write_text(" ".join(f"+{name}" for name in missing))
        except OSError as error:
            raise LabError(
                f"{group}: cannot pass on the controllers {' '.join(missing)}: {error.strerror}. A group with "
                "processes in it cannot; in a container, move its processes into a group of their own first"
            ) from error


def processes(groups: list[Path]) -> Iterator[int]:
    """Ids of all processes in groups and below them."""
    for group in groups:
        for parent, _, files in os.walk(group):
            if "cgroup.procs" in files:
                try:
                    yield from map(int, (Path(parent) / "cgroup.procs").read_text().split())
                except OSError:
                    continue


def empty(groups: list[Path]) -> None:
    """Remove all groups below the given ones that no process is in any more."""
    for group in groups:
        for parent, _, _ in os.walk(group, topdown=False):
            if Path(parent) != group:
                try:
                    Path(parent).rmdir()
                except OSError:
                    continue


def end(pids: set[int], seconds: float = 15) -> set[int]:
    """Kill processes and wait until they are gone; returns those that are still there."""
    deadline = time.monotonic() + seconds
    while pids:
        for pid in list(pids):
            try:
                os.kill(pid, signal.SIGKILL)
                ended = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] in "ZX"
            except (ProcessLookupError, FileNotFoundError):
                ended = True
            if ended:  # or a zombie, which is its parent's to bury
                pids.discard(pid)
        if time.monotonic() > deadline or not pids:
            break
        time.sleep(0.05)
    return pids
