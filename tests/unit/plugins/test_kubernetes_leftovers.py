# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""What is recognised as left by containers."""

from __future__ import annotations

from pathlib import Path

from ansible_collections.ovn_k8s.cluster.plugins.module_utils.kubernetes.leftovers import (
    container_processes,
    is_empty_tree,
    mounts_below,
    pod_cgroups,
)

MOUNTINFO = r"""
22 1 0:21 / /proc rw - proc proc rw
30 1 8:1 / /var/lib/kubelet rw - ext4 /dev/sda1 rw
31 30 0:40 / /var/lib/kubelet/pods/u/volumes/token rw - tmpfs tmpfs rw
32 31 0:41 / /var/lib/kubelet/pods/u/volumes/token/deep\040one rw - tmpfs tmpfs rw
33 1 0:42 / /run/netns/cni-1234 rw - nsfs nsfs rw
34 1 0:43 / /run/netns/mine rw - nsfs nsfs rw
35 1 0:44 / /var/lib/kubelet-other/x rw - tmpfs tmpfs rw
"""


def test_mounts_the_deepest_first_and_nobody_elses() -> None:
    assert mounts_below(MOUNTINFO.strip(), ["/var/lib/kubelet", "/run/netns/cni-"]) == [
        "/var/lib/kubelet/pods/u/volumes/token/deep one",
        "/var/lib/kubelet/pods/u/volumes/token",
        "/run/netns/cni-1234",
    ]


def process(proc: Path, pid: int, command: str, group: str) -> None:
    folder = proc / str(pid)
    folder.mkdir()
    (folder / "cmdline").write_bytes(command.encode().replace(b" ", b"\0"))
    (folder / "cgroup").write_text(f"4:memory:{group}\n", encoding="utf-8")


def test_processes(tmp_path: Path) -> None:
    process(
        tmp_path, 10, "/usr/local/bin/containerd-shim-runc-v2 -namespace k8s.io", "/system.slice/containerd.service"
    )
    process(tmp_path, 11, "/bin/netcheck serve", "/kubepods/besteffort/podx/y")
    process(tmp_path, 12, "/usr/local/bin/containerd", "/system.slice/containerd.service")
    process(tmp_path, 13, "/bin/sleep", "/kubepods.slice/kubepods-besteffort.slice/x.scope")
    (tmp_path / "self").mkdir()
    assert container_processes(tmp_path) == [10, 11, 13]


def test_cgroups_the_deepest_first(tmp_path: Path) -> None:
    for path in ("memory/kubepods/besteffort/pod1", "cpu/kubepods.slice", "cpu/system.slice"):
        (tmp_path / path).mkdir(parents=True)
    found = [str(path.relative_to(tmp_path)) for path in pod_cgroups(tmp_path)]
    assert found[0] == "memory/kubepods/besteffort/pod1"
    assert set(found) == {
        "memory/kubepods/besteffort/pod1",
        "memory/kubepods/besteffort",
        "memory/kubepods",
        "cpu/kubepods.slice",
    }


def test_empty_trees(tmp_path: Path) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    assert is_empty_tree(tmp_path / "a")
    (tmp_path / "a" / "b" / "file").touch()
    assert not is_empty_tree(tmp_path / "a")
