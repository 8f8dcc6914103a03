# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""A real etcd grows from one member to three, one that lost its data comes back, another takes the place of a third."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from module_runner import ModuleFailed, run_module

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "watcher"))

from control_plane import find_programs, free_port


class Member:
    """One etcd process, started as the role's unit does: what the cluster is stands in its environment."""

    def __init__(self, programs: Path, folder: Path, name: str) -> None:
        self.name, self.data = name, folder / name
        self._program = programs / "etcd"
        self._folder = folder
        self.client = f"http://127.0.0.1:{free_port()}"
        self.peer = f"http://127.0.0.1:{free_port()}"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, initial_cluster: str = "", state: str = "new") -> None:
        with (self._folder / f"{self.name}.log").open("ab") as log:
            self._process = subprocess.Popen(
                [
                    str(self._program), f"--name={self.name}", f"--data-dir={self.data}", "--unsafe-no-fsync",
                    f"--listen-client-urls={self.client}", f"--advertise-client-urls={self.client}",
                    f"--listen-peer-urls={self.peer}", f"--initial-advertise-peer-urls={self.peer}",
                ],
                stdout=log, stderr=log,
                env={
                    **os.environ,
                    "ETCD_INITIAL_CLUSTER": initial_cluster or f"{self.name}={self.peer}",
                    "ETCD_INITIAL_CLUSTER_STATE": state,
                },
            )  # fmt: skip

    def stop(self) -> None:
        if self._process:
            self._process.kill()
            self._process.wait()
            self._process = None


class Cluster:
    """Members, and etcdctl."""

    def __init__(self, programs: Path, folder: Path) -> None:
        self._ctl = str(programs / "etcdctl")
        self.members = [Member(programs, folder, name) for name in ("m1", "m2", "m3", "m4")]

    def expect(self, asked: Member, member: Member, *, check: bool = False, **options: Any) -> dict[str, Any]:
        return run_module(
            "kubernetes_etcd_member",
            check=check,
            name=member.name,
            etcdctl=self._ctl,
            endpoint=asked.client,
            **{"peer_url": member.peer, **options},
        )

    def ctl(self, member: Member, *arguments: str) -> str:
        command = [self._ctl, f"--endpoints={member.client}", "--command-timeout=3s", *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout

    def await_value(self, member: Member, value: str) -> None:
        """Wait until the member itself has what was written."""
        deadline = time.monotonic() + 30
        while True:
            try:
                if value in self.ctl(member, "get", "key"):
                    return
            except subprocess.CalledProcessError:
                pass
            assert time.monotonic() < deadline
            time.sleep(0.2)


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    programs = find_programs()
    if programs is None or not (programs / "etcdctl").exists():
        pytest.skip("no etcd and etcdctl: name their folder in OVN_K8S_KUBE_BIN or run `make lab-binaries`")
    made = Cluster(programs, tmp_path)
    try:
        yield made
    finally:
        for member in made.members:
            member.stop()


def test_one_grows_to_three_and_a_lost_one_comes_back(cluster: Cluster) -> None:
    first, second, third, fourth = cluster.members
    first.start()
    cluster.await_value(first, "")
    cluster.ctl(first, "put", "key", "one")
    assert not cluster.expect(first, first)["changed"]
    for number, member in enumerate((second, third), 2):
        assert cluster.expect(first, member, check=True, fresh=True)["changed"]
        result = cluster.expect(first, member, fresh=True)
        assert result["changed"]
        assert result["initial_cluster"].count("=") == number
        member.start(result["initial_cluster"], "existing")
        cluster.await_value(member, "one")
        again = cluster.expect(first, member)
        assert not again["changed"]
        assert again["initial_cluster"] == result["initial_cluster"]

    second.stop()
    shutil.rmtree(second.data)
    cluster.ctl(first, "put", "key", "two")
    result = cluster.expect(third, second, fresh=True)
    assert result["changed"]
    assert not cluster.expect(third, second, fresh=True)["changed"], "expected already"
    second.start(result["initial_cluster"], "existing")
    cluster.await_value(second, "two")
    assert cluster.ctl(first, "member", "list").count("started") == 3

    third.stop()
    wanted = {member.name: member.peer for member in (first, second, fourth)}
    assert cluster.expect(first, first, check=True, members=wanted)["changed"]
    assert cluster.expect(first, first, members=wanted)["changed"]
    assert not cluster.expect(first, first, members=wanted)["changed"]
    result = cluster.expect(first, fourth, fresh=True, members=wanted)
    fourth.start(result["initial_cluster"], "existing")
    cluster.await_value(fourth, "two")
    listed = cluster.ctl(first, "member", "list")
    assert (listed.count("started"), "m3" in listed) == (3, False)


def test_a_member_is_found_at_another_address(cluster: Cluster) -> None:
    first, stranger, *_ = cluster.members
    first.start()
    cluster.await_value(first, "")
    assert cluster.expect(first, first, peer_url="http://127.0.0.1:1")["changed"]
    assert "http://127.0.0.1:1" in cluster.ctl(first, "member", "list")
    with pytest.raises(ModuleFailed, match="m2 has data of etcd but is no member"):
        cluster.expect(first, stranger)
    first.stop()
    with pytest.raises(ModuleFailed, match="does etcd run there"):
        cluster.expect(first, first)
