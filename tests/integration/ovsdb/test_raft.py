# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""Client and replica with a database of three servers: the leader dies, is cut off, goes silent, or gives up."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from raft_cluster import NORTHBOUND, Cluster, Member, eventually, missing, run

from ovn_k8s.core.plan import plan
from ovn_k8s.core.rows import Row
from ovn_k8s.ovsdb.client import Client
from ovn_k8s.ovsdb.errors import ConnectionFailed, OvsdbError, Stale
from ovn_k8s.ovsdb.monitor import Monitor
from ovn_k8s.ovsdb.remote import parse_remotes
from ovn_k8s.ovsdb.replica import Replica

TABLES = {"Logical_Switch": Monitor(("name", "external_ids"))}


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    if reason := missing():
        pytest.skip(reason)
    made = Cluster()
    try:
        yield made
    finally:
        made.remove()


class Writing:
    """A replica that writes switches s0, s1, … and tries each again until it is there."""

    def __init__(self, remotes: str, *, writer: bool = True) -> None:
        self.replica = Replica(parse_remotes(remotes), NORTHBOUND, TABLES, writer=writer)
        self.replica.start()
        assert self.replica.wait_synced(20)
        self.number = 0

    def write(self, seconds: float = 20) -> float:
        """One more switch; after how long it was there."""
        row = Row("Logical_Switch", f"s{self.number}", {}, "test")
        begun = time.monotonic()
        while True:
            try:
                with self.replica.lock:
                    planned = plan([row], self.replica.database)
                if planned:
                    self.replica.commit(planned, timeout=3)
                break
            except OvsdbError as error:
                assert isinstance(error, (ConnectionFailed, Stale)) or time.monotonic() - begun < seconds, error
                assert time.monotonic() - begun < seconds, error
                time.sleep(0.1)
        self.number += 1
        return time.monotonic() - begun

    @property
    def names(self) -> list[str]:
        with self.replica.lock:
            return sorted(str(row.columns["name"]) for row in self.replica.database.rows("Logical_Switch"))

    def complete(self) -> bool:
        """Every switch is there once: no write was lost, none was carried out twice."""
        return self.names == sorted(f"s{number}" for number in range(self.number))


@pytest.fixture
def writing(cluster: Cluster) -> Iterator[Writing]:
    made = Writing(cluster.remotes)
    try:
        yield made
    finally:
        made.replica.stop()


def stored(member: Member) -> list[str]:
    with Client(parse_remotes(f"unix:{member.socket}"), NORTHBOUND) as client:
        return sorted(str(row.columns["name"]) for row in client.snapshot(["Logical_Switch"]).rows("Logical_Switch"))


def test_a_killed_leader_is_followed_by_another(cluster: Cluster, writing: Writing) -> None:
    writing.write()
    for _ in range(2):
        leader = cluster.leader()
        leader.kill()
        assert writing.write() < 10
        assert writing.complete()
        leader.start()
        eventually(lambda: "Status: cluster member" in leader.status(), "it is back")  # noqa: B023
    writing.write()
    for member in cluster.members:
        eventually(lambda: stored(member) == writing.names, f"{member.number} has all")  # noqa: B023


def test_a_leader_that_is_cut_off_from_the_others_is_left(cluster: Cluster, writing: Writing) -> None:
    writing.write()
    leader = cluster.leader()
    leader.cut_off()
    try:
        assert writing.write() < 15
        assert writing.complete()
    finally:
        leader.reconnect()
    writing.write()
    eventually(lambda: stored(leader) == writing.names, "the former leader has what the others decided")


def test_a_leader_that_falls_silent_is_left(cluster: Cluster, writing: Writing) -> None:
    writing.write()
    leader = cluster.leader()
    leader.freeze()
    try:
        assert writing.write() < 15
        assert writing.complete()
    finally:
        leader.thaw()
    assert writing.write() < 10
    assert writing.complete()


def test_a_leader_that_wakes_up_as_a_follower_is_left(cluster: Cluster, writing: Writing) -> None:
    writing.write()
    before = cluster.leader()
    before.freeze()
    eventually(lambda: any(member.leads for member in cluster.members if member is not before), "another one leads")
    before.thaw()
    assert writing.write() < 10
    assert writing.complete()


def test_without_a_majority_nothing_is_written_and_with_it_all_is(cluster: Cluster, writing: Writing) -> None:
    writing.write()
    leader = cluster.leader()
    others = [member for member in cluster.members if member is not leader]
    for member in others:
        member.kill()
    eventually(lambda: not writing.replica.synced, "a server without its cluster is no place to be", 15)
    with pytest.raises(OvsdbError):
        writing.replica.commit(plan([Row("Logical_Switch", "lost", {}, "t")], writing.replica.database), timeout=1)
    for member in others:
        member.start()
    assert writing.write() < 20
    assert writing.complete()


def test_a_client_waits_for_an_election(cluster: Cluster) -> None:
    cluster.leader().kill()
    with Client(parse_remotes(cluster.remotes), NORTHBOUND, timeout=15) as client:
        client.commit(plan([Row("Logical_Switch", "s0", {}, "test")], client.snapshot(["Logical_Switch"])))


def test_a_reader_goes_on_when_its_server_is_cut_off_or_the_network_to_it(cluster: Cluster, writing: Writing) -> None:
    reader = Writing(cluster.remotes, writer=False)
    try:
        writing.write()
        eventually(lambda: reader.names == writing.names, "the reader follows")
        follower = next(member for member in cluster.members if not member.leads)
        follower.cut_off()
        follower.door.shut()
        try:
            writing.write()
            eventually(lambda: reader.names == writing.names, "the reader has found another server", 20)
        finally:
            follower.door.open()
            follower.reconnect()
    finally:
        reader.replica.stop()


def test_a_dead_member_is_replaced_by_a_new_one(cluster: Cluster, writing: Writing) -> None:
    writing.write()
    dead = next(member for member in cluster.members if not member.leads)
    sid = run("ovsdb-tool", "db-sid", dead.file).strip()
    dead.kill()
    run("ovs-appctl", "-t", cluster.leader().control, "cluster/kick", NORTHBOUND, sid[:4])
    fresh = cluster.add()
    writing.write()
    eventually(lambda: stored(fresh) == writing.names, "the new member has all")
    assert fresh.status().count("tcp:10.99.0.") >= 3
