# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""What a stopped kubelet and containerd leave on a node: processes, mounts, cgroups, files."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterable
from pathlib import Path

SHIM = "containerd-shim-runc-v2"

# data of kubelet and containerd: emptied, because the directories themselves may be mount points of the machine
EMPTIED = ("/var/lib/kubelet", "/var/lib/containerd")
# directories that only they make
REMOVED = (
    "/run/containerd",
    "/var/log/pods",
    "/var/log/containers",
    "/var/lib/cni",
    "/run/cdi",
    "/run/nri",
    "/var/run/kubelet",
)
# directories that they make and that may hold something of somebody else
REMOVED_WHEN_EMPTY = ("/usr/libexec/kubernetes", "/opt/containerd", "/etc/cdi", "/opt/nri", "/etc/nri")
NAMESPACES = "/run/netns"
NAMESPACE_PREFIX = "cni-"


def container_processes(proc: Path = Path("/proc")) -> list[int]:
    """Shims, and all processes in a cgroup of a pod."""
    found = []
    for entry in proc.iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        try:
            groups = (entry / "cgroup").read_text(encoding="utf-8", errors="replace")
            name = (entry / "cmdline").read_bytes().split(b"\0", 1)[0].decode(errors="replace")
        except OSError:
            continue
        if "/kubepods" in groups or Path(name).name == SHIM:
            found.append(int(entry.name))
    return sorted(found)


def mounts_below(mountinfo: str, places: Iterable[str]) -> list[str]:
    """Mount points strictly below the places, or named by a prefix that ends in '-', the deepest first.

    mountinfo: the content of /proc/self/mountinfo, see proc_pid_mountinfo(5).
    """
    prefixes = tuple(place if place.endswith("-") else place.rstrip("/") + "/" for place in places)
    points = []
    for line in mountinfo.splitlines():
        fields = line.split(" ")
        if len(fields) > 4:
            point = fields[4].encode().decode("unicode_escape")
            if point.startswith(prefixes):
                points.append(point)
    return sorted(points, key=len, reverse=True)


def pod_cgroups(root: Path = Path("/sys/fs/cgroup")) -> list[Path]:
    """The pods' cgroups in every hierarchy, the deepest first."""
    found = []
    tops = [root, *(entry for entry in root.glob("*") if entry.is_dir() and not entry.is_symlink())]
    for top in tops:
        for group in top.glob("kubepods*"):
            if group.is_dir() and not group.is_symlink():
                found.append(group)
                found += [Path(folder) for folder, _dirs, _files in os.walk(group) if Path(folder) != group]
    return sorted(set(found), key=lambda path: len(path.parts), reverse=True)


def is_empty_tree(path: Path) -> bool:
    """Whether there are nothing but directories below the path."""
    return path.is_dir() and not any(files for _folder, _dirs, files in os.walk(path))


def files_to_remove(exists: Callable[[str], bool] = os.path.lexists) -> list[Path]:
    """Everything to delete, once the mounts are gone."""
    found = [entry for place in EMPTIED if exists(place) for entry in Path(place).iterdir()]
    found += [Path(place) for place in REMOVED if exists(place)]
    found += [Path(place) for place in REMOVED_WHEN_EMPTY if exists(place) and is_empty_tree(Path(place))]
    if exists(NAMESPACES):
        found += sorted(Path(NAMESPACES).glob(f"{NAMESPACE_PREFIX}*"))
    return found


def delete(path: Path) -> None:
    """Remove a file or a whole directory; raises OSError."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
