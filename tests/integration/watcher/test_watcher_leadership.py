# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""Of several watchers one writes; another one takes over, and the first never writes then."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from control_plane import eventually
from northbound import Northbound, WatcherProcess
from watcher_world import World, wait_for

from ovn_k8s.ovsdb.errors import Stale
from ovn_k8s.watcher.fence import EXTERNAL_ID, READ, Fence
from ovn_k8s.watcher.identity import Identity

LEASE = "/apis/coordination.k8s.io/v1/namespaces/kube-system/leases/ovn-k8s-watcher"
COMMITTED = 'ovn_k8s_watcher_transactions_total{result="committed"}'


@pytest.fixture
def second(world: World, tmp_path: Path) -> Iterator[WatcherProcess]:
    """Another watcher of the same cluster."""
    watcher = WatcherProcess(tmp_path / "second", world.nb.remote, world.plane.kubeconfig("watcher"))
    try:
        yield watcher
    finally:
        watcher.stop()


def leads(watcher: WatcherProcess) -> bool:
    return watcher.metric("ovn_k8s_watcher_leader") == 1


AT_ONCE_S = 8.0
"""Mostly it is 1 s. Longer than this only when the Lease had to run out, which takes 10 s."""


def await_leader(watcher: WatcherProcess, seconds: float) -> float:
    """Wait until the watcher leads and has looked at everything; returns after how long."""
    begun = time.monotonic()
    for last in eventually(seconds):
        if leads(watcher) and watcher.get("/readyz") == (200, "ok\n"):
            return time.monotonic() - begun
        assert not last, (watcher.get("/readyz"), watcher.log.read_text()[-2000:])
    raise AssertionError


def test_a_standby_is_ready_writes_nothing_and_takes_over_when_the_leader_ends(
    world: World, second: WatcherProcess
) -> None:
    world.watcher.start()
    second.start()
    status, text = second.get("/readyz")
    assert (status, text[:8]) == (200, "standby:")
    assert world.watcher.get("/readyz") == (200, "ok\n")
    for number in range(5):
        world.objects.pod(f"p{number}")
    before = wait_for(world, *(f"p{number}" for number in range(5)))
    assert (leads(world.watcher), leads(second)) == (True, False)
    assert second.metric(COMMITTED) == 0
    first = world.objects.api.get(LEASE)["spec"]["holderIdentity"]
    assert world.watcher.stop() == 0
    assert world.objects.api.get(LEASE)["spec"].get("holderIdentity", "") != first  # the second may have it already
    await_leader(second, AT_ONCE_S)
    assert second.metric(COMMITTED) == 0
    world.objects.pod("p5")
    after = wait_for(world, *(f"p{number}" for number in range(6)))
    assert {name: after[name] for name in before} == before
    assert len(set(after.values())) == 6


def test_a_leader_that_was_killed_is_followed_at_once_on_its_own_machine(world: World, second: WatcherProcess) -> None:
    world.watcher.start()
    second.start()
    world.objects.pod("p0")
    wait_for(world, "p0")
    world.watcher.kill()
    await_leader(second, AT_ONCE_S)
    world.objects.pod("p1")
    wait_for(world, "p0", "p1")


def test_a_leader_that_hangs_is_followed_and_never_writes_again(world: World, second: WatcherProcess) -> None:
    world.watcher.start()
    second.start()
    world.objects.pod("p0")
    wait_for(world, "p0")
    world.watcher.freeze()
    try:
        world.objects.pod("p1")
        assert await_leader(second, 20) <= 15
        wait_for(world, "p0", "p1")
        world.objects.delete("pods", "p0")
        wait_for(world, "p1")
    finally:
        world.watcher.thaw()
    world.objects.pod("p2")
    addresses = wait_for(world, "p1", "p2")
    for last in eventually():
        if world.watcher.get("/readyz")[1].startswith("standby"):
            break
        assert not last
    time.sleep(1)
    assert wait_for(world, "p1", "p2") == addresses
    assert world.watcher.metric(COMMITTED) <= 2  # what it wrote before: the services that were there, p0
    assert "_p1" not in world.watcher.log.read_text()
    assert world.watcher.run("--check").stdout == ""
    second.stop()
    await_leader(world.watcher, AT_ONCE_S)
    world.objects.pod("p3")
    after = wait_for(world, "p1", "p2", "p3")
    assert {name: after[name] for name in addresses} == addresses
    assert len(set(after.values())) == 3


def test_without_the_api_nobody_is_sure_to_lead(world: World) -> None:
    world.watcher.start()
    world.objects.pod("p0")
    before = wait_for(world, "p0")
    world.plane.stop_server()
    try:
        for last in eventually(15):
            if not leads(world.watcher):
                break
            assert not last
        assert world.watcher.get("/readyz")[0] == 503
        assert world.watcher.get("/healthz")[0] == 200
    finally:
        world.plane.start_server()
        world.objects.api = world.plane.api
    await_leader(world.watcher, 30)
    world.objects.pod("p1")
    after = wait_for(world, "p0", "p1", seconds=40)
    assert after["p0"] == before["p0"]


def test_once_waits_while_another_watcher_leads(world: World) -> None:
    world.watcher.start()
    result = world.watcher.run("--once", "--timeout", "3")
    assert result.returncode == 1
    assert "standby" in result.stderr


def test_the_database_refuses_who_led_before(northbound: Northbound) -> None:
    first, second, third = Fence("first"), Fence("second"), Fence("third")
    change = {"op": "insert", "table": "Load_Balancer", "row": {"name": "x"}}
    with northbound.client() as client:

        def lead(fence: Fence) -> None:
            fence.found(client.transact([READ])[0]["rows"])

        def write(fence: Fence) -> None:
            fence.committed(client.transact([*fence.operations(), change]))

        def refused(fence: Fence) -> None:
            with pytest.raises(Stale) as error:
                write(fence)
            assert fence.stopped(error.value)

        def name() -> list[list[str]]:
            ids: list[list[str]] = client.transact([READ])[0]["rows"][0]["external_ids"][1]
            return ids

        lead(third)
        lead(first)
        write(first)
        write(first)
        refused(third)  # its first transaction came late
        lead(third)
        lead(second)
        write(second)
        refused(third)
        refused(first)
        assert name() == [[EXTERNAL_ID, "second"]]
        lead(second)  # a connection later
        write(second)
        assert len(list(client.snapshot(["Load_Balancer"]).rows("Load_Balancer"))) == 4


def test_who_is_dead_is_known_on_one_machine_only() -> None:
    one, other = Identity(), Identity()
    assert not one.is_dead(other.name)
    assert not one.is_dead(one.name)
    assert not one.is_dead(f"elsewhere{other.name}")
    other.close()
    assert one.is_dead(other.name)
    one.close()
