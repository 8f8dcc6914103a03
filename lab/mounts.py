# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""Mounts of this machine: finding them, undoing them, and removing folders without reaching into one."""

from __future__ import annotations

import shutil
from pathlib import Path

from .processes import works
from .settings import LabError


def mounts_below(folder: Path) -> list[Path]:
    """Mount points at or below a folder, the deepest and latest first (source: proc_pid_mountinfo(5))."""
    found = []
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        point = Path(line.split()[4].encode().decode("unicode_escape"))
        if point == folder or folder in point.parents:
            found.append(point)
    found.reverse()
    return sorted(found, key=lambda point: -len(point.parts))


def unmount_below(folder: Path) -> None:
    """Undo every mount at or below a folder, lazily where it is still busy."""
    for point in mounts_below(folder):
        if not works(["umount", point]):
            works(["umount", "--lazy", point])


def remove(folder: Path) -> None:
    """Remove a folder and all in it; raises LabError rather than follow a mount out of it."""
    unmount_below(folder)
    if left := mounts_below(folder):
        raise LabError(f"{left[0]} cannot be unmounted, so {folder} is not removed: see what uses it with fuser -m")
    shutil.rmtree(folder, ignore_errors=True)
    if folder.exists():
        shutil.rmtree(folder)
