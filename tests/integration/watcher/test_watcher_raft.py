# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""Two watchers and a northbound database of three servers: whoever of them dies, pods get their ports."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from aftermath import Guard, assert_right
from control_plane import ControlPlane, Objects, eventually
from northbound import Northbound, WatcherProcess
from watcher_world import World

sys.path.insert(0, str(Path(__file__).parent.parent / "ovsdb"))

from raft_cluster import Cluster, missing


class ClusteredNorthbound(Northbound):
    """The same, of three servers."""

    def __init__(self, cluster: Cluster, folder: Path) -> None:
        super().__init__(folder)
        self.remote = cluster.remotes
        self._initialise()
        self.add_cluster(linux1="10.244.1.0/24", linux2="10.244.2.0/24")


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    if reason := missing():
        pytest.skip(reason)
    made = Cluster()
    try:
        made.leader()
        yield made
    finally:
        made.remove()


@pytest.fixture
def pair(cluster: Cluster, control_plane: ControlPlane, tmp_path: Path) -> Iterator[tuple[World, WatcherProcess]]:
    """A world with a watcher that leads, and another watcher that stands by."""
    objects = Objects(control_plane.api, f"raft-{time.time_ns()}")
    objects.make_namespace()
    northbound = ClusteredNorthbound(cluster, tmp_path / "nb")
    first, second = (
        WatcherProcess(tmp_path / name, northbound.remote, control_plane.kubeconfig("watcher"))
        for name in ("first", "second")
    )
    try:
        first.start()
        second.start()
        yield World(control_plane, northbound, first, objects), second
    finally:
        first.stop()
        second.stop()
        objects.clear()


def await_all(world: World, names: list[str], *watchers: WatcherProcess) -> float:
    """Wait until exactly these pods have ports, each an address of its own; returns after how long."""
    begun = time.monotonic()
    wanted = {f"{world.objects.namespace}_{name}" for name in names}
    for last in eventually(40, 0.1):
        addresses = world.nb.addresses()
        if addresses.keys() == wanted:
            assert len(set(addresses.values())) == len(wanted)
            return time.monotonic() - begun
        assert not last, "\n".join(watcher.log.read_text()[-2000:] for watcher in watchers)
    raise AssertionError


def test_pods_get_ports_while_leaders_of_the_database_die(cluster: Cluster, pair: tuple[World, WatcherProcess]) -> None:
    world, second = pair
    guard = Guard(world)
    guard.start()
    try:
        leaders_of_the_database_die(cluster, world, second)
        guard.stop()
    finally:
        guard.close()


def leaders_of_the_database_die(cluster: Cluster, world: World, second: WatcherProcess) -> None:
    names: list[str] = []
    for turn in range(3):
        leader = cluster.leader()
        for number in range(30):
            names.append(f"p{turn}-{number}")
            world.objects.pod(names[-1])
            if number == 10:
                leader.kill()
        assert await_all(world, names, world.watcher, second) < 15
        leader.start()
        gone, names = names[:5], names[5:]
        for name in gone:
            world.objects.delete("pods", name)
    await_all(world, names, world.watcher, second)
    assert_right(world)


def test_a_standby_takes_over_when_watcher_and_database_leader_die_together(
    cluster: Cluster, pair: tuple[World, WatcherProcess]
) -> None:
    world, second = pair
    world.objects.pod("p0")
    await_all(world, ["p0"], second)
    world.watcher.freeze()  # as a machine that is gone: nobody on another one can see that it is dead
    cluster.leader().kill()
    try:
        world.objects.pod("p1")
        assert await_all(world, ["p0", "p1"], second) <= 15
    finally:
        world.watcher.thaw()
    world.objects.pod("p2")
    await_all(world, ["p0", "p1", "p2"], second)
    assert second.metric("ovn_k8s_watcher_leader") == 1
