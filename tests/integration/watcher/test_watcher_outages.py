# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""Machines, networks, disks and clocks fail under the watcher. Meanwhile no pod is open that a policy isolates and no
address is given twice, in any state of the database; afterwards the database is what the API says.
"""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest
from aftermath import Guard, assert_right
from control_plane import ControlPlane, Objects, eventually
from northbound import Northbound, WatcherProcess
from watcher_world import World, wait_for
from wire import Wire

SHORT_SILENCE = """
from ovn_k8s.kubernetes.informer import Informer
Informer.__init__.__kwdefaults__["silence_s"] = 3.0
"""
NODES = ("linux1", "linux2")
FAKETIME = Path("/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1")
SEED = 20


def create(world: World, *names: str) -> None:
    """Create pods from several threads."""
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda pair: world.objects.pod(pair[1], NODES[pair[0] % 2]), enumerate(names)))


def until(condition: Callable[[], object], what: str, seconds: float = 30) -> None:
    for last in eventually(seconds, 0.05):
        if condition():
            return
        assert not last, what


@pytest.fixture
def guard(world: World) -> Iterator[Guard]:
    """Not started yet."""
    made = Guard(world)
    try:
        yield made
    finally:
        made.close()


@dataclass
class Wired:
    """A world whose watcher reaches API server and database through these."""

    world: World
    api: Wire
    database: Wire


@pytest.fixture
def wired(world: World, tmp_path: Path) -> Iterator[Wired]:
    api, database = Wire(world.plane.address), Wire(world.nb.folder / "nb.sock")
    kubeconfig = world.plane.kubeconfig("watcher", api.port)
    watcher = WatcherProcess(tmp_path / "wired", f"tcp:127.0.0.1:{database.port}", kubeconfig)
    world.watcher = watcher
    try:
        yield Wired(world, api, database)
    finally:
        watcher.kill()
        api.close()
        database.close()


def test_killed_twenty_times_while_two_hundred_pods_come_and_go(world: World, guard: Guard) -> None:
    chance = random.Random(SEED)
    world.watcher.start()
    guard.start()
    stop = threading.Event()
    alive = [f"p{number}" for number in range(200)]

    def churn() -> None:
        number = len(alive)
        while not stop.is_set():
            world.objects.delete("pods", alive.pop(chance.randrange(len(alive))))
            alive.append(f"p{number}")
            world.objects.pod(alive[-1], NODES[number % 2])
            number += 1

    create(world, *alive)
    churner = threading.Thread(target=churn)
    churner.start()
    moments = random.Random(SEED + 1)
    try:
        for _ in range(20):
            time.sleep(moments.uniform(0.0, 0.8))
            world.watcher.kill()
            world.watcher.start(ready=False)
    finally:
        stop.set()
        churner.join()
    world.watcher.wait_ready()
    assert_right(world)
    assert len(world.nb.ports()) == 200
    guard.stop()


def test_a_watch_that_has_expired(wired: Wired, guard: Guard) -> None:
    world = wired.world
    world.watcher.start()
    guard.start()
    create(world, "p0", "p1", "p2")
    before = wait_for(world, "p0", "p1", "p2")
    wired.api.hold()
    wired.api.cut()
    world.objects.delete("pods", "p0")
    world.objects.delete("pods", "p1")
    create(world, "p1", "p3")
    # A new API server's memory begins now: it knows nothing of the versions at which the watches ended.
    world.plane.stop_server()
    world.plane.start_server()
    world.objects.api = world.plane.api
    wired.api.cut()
    wired.api.let_go()
    after = wait_for(world, "p1", "p2", "p3", seconds=40)
    assert after["p2"] == before["p2"]
    assert "pods: resource version" in world.watcher.log.read_text()
    assert_right(world)
    guard.stop()


def test_watches_that_stall_without_closing(wired: Wired, guard: Guard) -> None:
    world = wired.world
    world.watcher.prelude = SHORT_SILENCE
    world.watcher.start()
    guard.start()
    create(world, "p0", "p1")
    wait_for(world, "p0", "p1")
    lists = world.watcher.metric('ovn_k8s_watcher_lists{kind="pods"}')
    wired.api.strand()
    world.objects.delete("pods", "p0")
    create(world, "p2", "p3")
    wait_for(world, "p1", "p2", "p3", seconds=30)
    assert world.watcher.metric('ovn_k8s_watcher_lists{kind="pods"}') > lists
    assert_right(world)
    guard.stop()


def test_the_network_to_the_api_server_fails(wired: Wired, guard: Guard) -> None:
    world = wired.world
    world.watcher.start()
    guard.start()
    create(world, "p0", "p1")
    wait_for(world, "p0", "p1")
    wired.api.hold()
    create(world, "p2", "p3")
    world.objects.delete("pods", "p0")
    until(lambda: world.watcher.metric("ovn_k8s_watcher_leader") == 0, "it stops leading")
    assert world.watcher.get("/readyz")[0] == 503
    assert world.watcher.get("/healthz")[0] == 200
    wired.api.let_go()
    wait_for(world, "p1", "p2", "p3", seconds=40)
    world.watcher.wait_ready()
    assert_right(world)
    guard.stop()


def test_the_network_to_the_database_fails_and_delivers_late(wired: Wired, guard: Guard) -> None:
    world = wired.world
    world.watcher.start()
    guard.start()
    create(world, "p0", "p1")
    wait_for(world, "p0", "p1")
    wired.database.hold()
    create(world, "p2", "p3")  # the transaction is on its way now, and comes when nobody waits for it any more
    until(lambda: world.watcher.get("/readyz")[0] == 503, "it notices")
    world.objects.delete("pods", "p2")
    create(world, "p4")
    wired.database.let_go()
    wait_for(world, "p0", "p1", "p3", "p4", seconds=40)
    world.watcher.wait_ready()
    assert_right(world)
    guard.stop()


def test_answers_of_the_database_are_lost(wired: Wired, guard: Guard) -> None:
    """What was committed without the watcher knowing is not done twice."""
    world = wired.world
    world.watcher.start()
    guard.start()
    create(world, "p0")
    wait_for(world, "p0")
    wired.database.hold(up=False)
    create(world, "p1", "p2")
    until(lambda: len(world.nb.ports()) > 1, "the database has a transaction")
    wired.database.cut()
    wired.database.let_go()
    wait_for(world, "p0", "p1", "p2", seconds=30)
    world.watcher.wait_ready()
    assert_right(world)
    guard.stop()


def test_a_transaction_that_the_database_aborts(wired: Wired, guard: Guard) -> None:
    world = wired.world
    world.watcher.start()
    guard.start()
    names = [f"p{number}" for number in range(10)]
    taken = f"{world.objects.namespace}_p0"
    create(world, "first")
    wait_for(world, "first")  # what a start writes is written, too
    wired.database.hold(up=False)  # the watcher cannot know of the row that somebody else makes
    with world.nb.client() as client:
        row = {"name": taken, "external_ids": ["map", [["whose", "somebody else's"]]]}
        switch = [["name", "==", "linux1"]]
        client.transact(
            [
                {"op": "insert", "table": "Logical_Switch_Port", "row": row, "uuid-name": "other"},
                {
                    "op": "mutate",
                    "table": "Logical_Switch",
                    "where": switch,
                    "mutations": [["ports", "insert", ["set", [["named-uuid", "other"]]]]],
                },
            ]
        )
    before = wired.database.sent
    create(world, "p0")
    until(lambda: wired.database.sent > before + 200, "a transaction is sent", 4)  # later it asks whether all is well
    create(world, *names[1:])
    wired.database.let_go()
    wait_for(world, "first", *names[1:])
    aborted = [
        world.watcher.metric(f'ovn_k8s_watcher_transactions_total{{result="{how}"}}') for how in ("stale", "refused")
    ]
    assert sum(aborted) > 0
    assert world.watcher.metric("ovn_k8s_watcher_waiting_objects") == 1
    assert taken in world.watcher.log.read_text()
    with world.nb.client() as client:
        found = client.transact([{"op": "select", "table": "Logical_Switch_Port", "where": [["name", "==", taken]]}])
        assert found[0]["rows"][0]["external_ids"] == ["map", [["whose", "somebody else's"]]]
        gone = ["set", [found[0]["rows"][0]["_uuid"]]]
        client.transact(
            [{"op": "mutate", "table": "Logical_Switch", "where": switch, "mutations": [["ports", "delete", gone]]}]
        )
    wait_for(world, "first", *names, seconds=40)
    assert_right(world)
    guard.stop()


def test_one_of_two_hundred_cannot_be_wired(world: World, guard: Guard) -> None:
    world.watcher.start()
    guard.start()
    create(world, "holder")
    address = wait_for(world, "holder")["holder"]
    world.objects.pod("bad", annotations={"ovn.ovn-k8s.io/ip-address": address})
    world.objects.pod("lost", "linux9")
    names = [f"p{number}" for number in range(200)]
    create(world, *names)
    wait_for(world, "holder", *names, seconds=60)
    until(lambda: world.watcher.metric("ovn_k8s_watcher_waiting_objects") == 2, "two wait, and it is known")
    world.objects.delete("pods", "holder")
    world.nb.add_cluster(linux9="10.244.9.0/24")
    after = wait_for(world, "bad", "lost", *names, seconds=60)
    assert after["bad"] == address
    assert_right(world)
    guard.stop()


@pytest.mark.skipif(not FAKETIME.exists(), reason="not installed: libfaketime")
def test_the_clock_is_stepped(world: World, guard: Guard, tmp_path: Path) -> None:
    step = tmp_path / "step"
    step.write_text("+0")
    world.watcher.environment = {
        "LD_PRELOAD": str(FAKETIME),
        "FAKETIME_TIMESTAMP_FILE": str(step),
        "FAKETIME_NO_CACHE": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    }
    world.watcher.start()
    guard.start()
    create(world, "p0")
    wait_for(world, "p0")
    names = ["p0"]
    for turn, minutes in enumerate((360, -30, 0), 1):
        step.write_text(f"{minutes:+d}m")
        names.append(f"p{turn}")
        create(world, names[-1])
        wait_for(world, *names)
        until(lambda: abs(clock_of(world) - minutes) < 1, f"the Lease's time follows {minutes}")  # noqa: B023
        assert world.watcher.get("/readyz") == (200, "ok\n")
    text = world.watcher.log.read_text()
    assert "not leading any more" not in text
    assert "nothing is written any more" not in text
    assert world.watcher.metric('ovn_k8s_watcher_lists{kind="pods"}') == 1
    assert_right(world)
    guard.stop()


def clock_of(world: World) -> float:
    """By how many minutes the watcher's clock is ahead, as its Lease says."""
    lease = world.plane.api.get("/apis/coordination.k8s.io/v1/namespaces/kube-system/leases/ovn-k8s-watcher")
    moment = datetime.fromisoformat(lease["spec"]["renewTime"].replace("Z", "+00:00"))
    return (moment - datetime.now(UTC)).total_seconds() / 60


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of one mebibyte."""
    folder = tmp_path / "disk"
    folder.mkdir()
    made = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)], check=False)
    if made.returncode:
        pytest.skip("needs the right to mount")
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def test_the_database_s_disk_is_full(small_disk: Path, control_plane: ControlPlane, tmp_path: Path) -> None:
    nb = Northbound(small_disk / "nb")
    objects = Objects(control_plane.api, f"disk-{os.getpid()}-{time.time_ns()}")
    objects.make_namespace()
    watcher = WatcherProcess(tmp_path / "watcher", nb.remote, control_plane.kubeconfig("watcher"))
    world = World(control_plane, nb, watcher, objects)
    guard = Guard(world)
    try:
        nb.create()
        nb.start()
        nb.add_cluster(linux1="10.244.1.0/24", linux2="10.244.2.0/24")
        watcher.start()
        guard.start()
        create(world, "p0", "p1")
        before = wait_for(world, "p0", "p1")
        ballast = small_disk / "ballast"
        ballast.write_bytes(bytes(shutil.disk_usage(small_disk).free - 4096))
        names = [f"p{number}" for number in range(2, 40)]
        create(world, *names)
        until(lambda: watcher.metric("ovn_k8s_watcher_waiting_objects") > 0, "it says that objects wait")
        world.objects.delete("pods", "p0")
        ballast.unlink()
        after = wait_for(world, "p1", *names, seconds=60)
        assert after["p1"] == before["p1"]
        until(lambda: watcher.metric("ovn_k8s_watcher_waiting_objects") == 0, "nothing waits any more", 60)
        assert_right(world)
        guard.stop()
        nb.stop()  # what the full disk has left in the file can be read
        nb.start()
        watcher.wait_ready()
        assert_right(world)
    finally:
        guard.close()
        watcher.kill()
        nb.stop()
        objects.clear()
