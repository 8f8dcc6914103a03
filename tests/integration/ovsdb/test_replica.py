# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""A replica follows a real server through changes, restarts and silence."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest
from ovsdb_servers import Authority, Server

from ovn_k8s.core.plan import plan
from ovn_k8s.core.rows import Parent, Row
from ovn_k8s.ovsdb import replica as replica_module
from ovn_k8s.ovsdb.errors import ConnectionFailed, Stale, Timeout, TransactionFailed
from ovn_k8s.ovsdb.monitor import Monitor, RowChange
from ovn_k8s.ovsdb.remote import Tls, parse_remotes
from ovn_k8s.ovsdb.replica import Replica

TABLES = {
    "Logical_Switch": Monitor(["name", "ports", "other_config", "external_ids"]),
    "Logical_Switch_Port": Monitor(["name", "tag", "addresses", "external_ids"]),
}


class Watched:
    """A replica, and what it has reported."""

    def __init__(self, remote: str, tables: dict[str, Monitor] | None = None, **options: Any) -> None:
        self.changes: list[RowChange] = []
        self.syncs = 0
        self.replica = Replica(
            parse_remotes(remote),
            "OVN_Northbound",
            tables or TABLES,
            on_change=self._changed,
            on_sync=self._synced,
            **options,
        )

    def _changed(self, changes: Sequence[RowChange]) -> None:
        self.changes += changes

    def _synced(self) -> None:
        self.syncs += 1

    def names(self, table: str = "Logical_Switch") -> set[str]:
        with self.replica.lock:
            return {str(row.columns["name"]) for row in self.replica.database.rows(table)}

    def reported(self) -> list[tuple[str, str]]:
        """What happened to which row, in order; forgets it."""
        taken, self.changes = self.changes, []
        words = {(True, False): "came", (False, False): "changed", (False, True): "went"}
        return [
            (words[event.old is None, event.new is None], str((event.new or event.old or {})["name"]))
            for event in taken
        ]


@pytest.fixture
def follow(nb_server: Server) -> Iterator[Callable[..., Watched]]:
    made: list[Watched] = []

    def start(remote: str = nb_server.remote, **options: Any) -> Watched:
        made.append(Watched(remote, **options))
        made[-1].replica.start()
        return made[-1]

    yield start
    for watched in made:
        watched.replica.stop()


def eventually(condition: Callable[[], bool], seconds: float = 10) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def insert(server: Server, name: str) -> None:
    server.transact({"op": "insert", "table": "Logical_Switch", "row": {"name": name}})


def delete(server: Server, name: str) -> None:
    server.transact({"op": "delete", "table": "Logical_Switch", "where": [["name", "==", name]]})


def update(server: Server, name: str, row: dict[str, Any]) -> None:
    server.transact({"op": "update", "table": "Logical_Switch", "where": [["name", "==", name]], "row": row})


def test_it_follows(nb_server: Server, follow: Callable[..., Watched]) -> None:
    insert(nb_server, "early")
    watched = follow()
    assert watched.replica.wait_synced(5)
    eventually(lambda: watched.syncs == 1)
    assert watched.reported() == [("came", "early")]
    insert(nb_server, "late")
    update(nb_server, "late", {"other_config": ["map", [["a", "1"], ["b", "2"]]]})
    update(nb_server, "late", {"other_config": ["map", [["b", "3"]]]})
    delete(nb_server, "early")
    eventually(lambda: watched.names() == {"late"})
    assert watched.replica.database.find("Logical_Switch", "late").columns["other_config"] == {"b": "3"}
    expected = [("came", "late"), ("changed", "late"), ("changed", "late"), ("went", "early")]
    assert watched.reported() == expected
    assert watched.syncs == 1


def test_it_commits(nb_server: Server, follow: Callable[..., Watched]) -> None:
    watched = follow()
    watched.replica.wait_synced(5)
    rows = [
        Row("Logical_Switch", "web", {}, "shop"),
        Row("Logical_Switch_Port", "p1", {"tag": 5}, "shop", Parent("Logical_Switch", "web", "ports")),
    ]
    with watched.replica.lock:
        made = plan(rows, watched.replica.database)
    watched.replica.commit(made)
    eventually(lambda: watched.names("Logical_Switch_Port") == {"p1"})
    with watched.replica.lock:
        assert not plan(rows, watched.replica.database)
    with pytest.raises(Stale):
        watched.replica.commit(made)
    bad = {"op": "insert", "table": "Logical_Switch_Port", "row": {"tag": 5000}}
    with pytest.raises(TransactionFailed, match="5000"):
        watched.replica.transact([bad])


def test_many_threads_commit_at_once(nb_server: Server, follow: Callable[..., Watched]) -> None:
    watched = follow()
    watched.replica.wait_synced(5)

    def write(number: int) -> None:
        for step in range(10):
            row = {"op": "insert", "table": "Logical_Switch", "row": {"name": f"{number}-{step}"}}
            watched.replica.transact([row])

    threads = [threading.Thread(target=write, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    eventually(lambda: len(watched.names()) == 80)


def test_after_a_restart_it_reports_the_difference(nb_server: Server, follow: Callable[..., Watched]) -> None:
    for name in ("gone", "same", "changed"):
        insert(nb_server, name)
    watched = follow()
    watched.replica.wait_synced(5)
    watched.reported()
    nb_server.stop()
    eventually(lambda: not watched.replica.synced)
    assert watched.names() == {"gone", "same", "changed"}  # as it was last known
    with pytest.raises(ConnectionFailed):
        watched.replica.transact([])
    real, nb_server.socket = nb_server.socket, nb_server.folder / "elsewhere.sock"
    nb_server.remote = f"unix:{nb_server.socket}"
    nb_server.start()  # where the replica does not look, to change things meanwhile
    delete(nb_server, "gone")
    insert(nb_server, "new")
    update(nb_server, "changed", {"other_config": ["map", [["a", "1"]]]})
    nb_server.stop()
    nb_server.socket, nb_server.remote = real, f"unix:{real}"
    nb_server.start()
    eventually(lambda: watched.syncs == 2)
    assert sorted(watched.reported()) == [("came", "new"), ("changed", "changed"), ("went", "gone")]
    assert watched.names() == {"new", "same", "changed"}
    insert(nb_server, "newer")
    eventually(lambda: "newer" in watched.names())


def test_it_waits_for_a_server_that_comes_later(nb_server: Server, follow: Callable[..., Watched]) -> None:
    nb_server.stop()
    watched = follow()
    assert not watched.replica.wait_synced(0.3)
    with pytest.raises(ConnectionFailed, match="not connected yet"):
        _ = watched.replica.database
    nb_server.start()
    assert watched.replica.wait_synced(10)


def test_a_commit_whose_answer_never_comes(nb_server: Server, follow: Callable[..., Watched]) -> None:
    watched = follow()
    watched.replica.wait_synced(5)
    os.kill(nb_server.pid, signal.SIGSTOP)
    with pytest.raises(Timeout, match=r"no answer to 'transact' within 0.2 s"):
        watched.replica.transact([], timeout=0.2)
    failures: list[Exception] = []

    def commit() -> None:
        try:
            watched.replica.transact([], timeout=20)
        except ConnectionFailed as error:
            failures.append(error)

    thread = threading.Thread(target=commit)
    thread.start()
    time.sleep(0.1)
    nb_server.stop()
    thread.join(5)
    assert len(failures) == 1


def test_a_silent_server_is_left(
    nb_server: Server, follow: Callable[..., Watched], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replica_module, "PROBE_INTERVAL_S", 0.2)
    watched = follow()
    watched.replica.wait_synced(5)
    time.sleep(0.5)
    assert watched.syncs == 1  # an idle server that answers probes is kept
    os.kill(nb_server.pid, signal.SIGSTOP)
    eventually(lambda: not watched.replica.synced)
    os.kill(nb_server.pid, signal.SIGCONT)
    assert watched.replica.wait_synced(15)


def test_only_some_rows(nb_server: Server, follow: Callable[..., Watched]) -> None:
    for name in ("a", "b"):
        insert(nb_server, name)
    tables = {"Logical_Switch": Monitor(["name"], (["name", "==", "a"],))}
    watched = follow(tables=tables)
    watched.replica.wait_synced(5)
    assert watched.names() == {"a"}
    insert(nb_server, "c")
    nb_server.stop()
    nb_server.start()
    eventually(lambda: watched.syncs == 2)
    assert watched.names() == {"a"}
    assert watched.reported() == [("came", "a")]


def test_over_tls(tls_server: tuple[Server, str], authority: Authority, follow: Callable[..., Watched]) -> None:
    server, remote = tls_server
    text = ["map", [["text", "x" * 500]]]
    rows = [{"name": f"s{number}", "external_ids": text} for number in range(3000)]
    server.transact(*({"op": "insert", "table": "Logical_Switch", "row": row} for row in rows[:200]))
    watched = follow(remote, tls=Tls(**authority.issue("client").options()))
    assert watched.replica.wait_synced(10)
    watched.replica.transact([{"op": "insert", "table": "Logical_Switch", "row": row} for row in rows[200:]])
    eventually(lambda: len(watched.names()) == 3000)


def test_it_stops_while_it_waits_and_while_it_serves(nb_server: Server, follow: Callable[..., Watched]) -> None:
    serving, waiting = follow(), follow("unix:/nonexistent")
    serving.replica.wait_synced(5)
    started = time.monotonic()
    serving.replica.stop()
    waiting.replica.stop()
    assert time.monotonic() - started < 2
    assert not serving.replica.synced


def test_a_callback_that_fails_does_not_end_it(nb_server: Server, follow: Callable[..., Watched]) -> None:
    watched = follow()
    watched.replica.wait_synced(5)
    broken = []

    def once(changes: Sequence[RowChange]) -> None:
        watched.changes += changes
        if not broken:
            broken.append(True)
            raise RuntimeError("broken callback")

    watched.replica._on_change = once
    insert(nb_server, "first")
    eventually(lambda: watched.syncs == 2)
    insert(nb_server, "second")
    eventually(lambda: watched.names() == {"first", "second"})
