# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""A replica of a database that a thread keeps in step with the server, for daemons.

The thread connects, monitors and applies updates; it reconnects with a growing delay, reads everything anew then and
reports what differs from what it had. Any thread may commit; replies come back in any order.
"""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import random
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeout
from typing import Any

from ..core.database import Database
from ..core.plan import Plan
from ..core.schema import parse_schema
from .errors import ConnectionFailed, OvsdbError, Timeout
from .monitor import Monitor, RowChange, apply, compare, initial, requests
from .protocol import SERVER, STATE_COLUMNS, Link, ServerState, check_replies, open_link
from .remote import Remote, Tls

LOG = logging.getLogger(__name__)

CONNECT_TIMEOUT_S = 10.0
PROBE_INTERVAL_S = 5.0
FIRST_DELAY_S = 0.2
LONGEST_DELAY_S = 5.0


class Replica:
    """Keeps `database` equal to the monitored tables. Read it under `lock`.

    Args:
        remotes: the server, or the members of its cluster.
        database: as "OVN_Southbound".
        tables: what to keep of which table.
        on_sync: called, without the lock, each time that the replica has become complete after a (re)connect.
        on_change: called, under the lock, with the rows that changed. Both run in the replica's thread, which also
            reads replies: they must return soon and cannot transact.
        writer: connect to the leader of a cluster only.

    A member of a cluster that loses its leader, or a writer's that does not lead any more, is left at once for another.
    """

    def __init__(
        self,
        remotes: Sequence[Remote],
        database: str,
        tables: Mapping[str, Monitor],
        *,
        tls: Tls | None = None,
        on_sync: Callable[[], None] | None = None,
        on_change: Callable[[Sequence[RowChange]], None] | None = None,
        writer: bool = False,
    ) -> None:
        self.name = database
        self.lock = threading.RLock()
        # Readers spread over the members of a cluster; a writer finds the leader whatever the order.
        self._remotes = list(remotes) if writer else random.sample(remotes, len(remotes))
        self._tables = dict(tables)
        self._tls = tls
        self._on_sync = on_sync
        self._on_change = on_change
        self._writer = writer
        self._database: Database | None = None
        self._link: Link | None = None
        self._known: ServerState | None = None
        self._pending: dict[int, Future[Any]] = {}
        self._send_lock = threading.Lock()
        self._synced = threading.Event()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"ovsdb-{database}", daemon=True)

    @property
    def database(self) -> Database:
        """The rows; after a lost connection, as they were last known.

        Raises:
            ConnectionFailed: there was no connection yet.
        """
        if self._database is None:
            raise ConnectionFailed(f"{self.name}: not connected yet to {', '.join(map(str, self._remotes))}")
        return self._database

    @property
    def synced(self) -> bool:
        """Whether the replica is connected and complete."""
        return self._synced.is_set()

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self) -> None:
        """End the connection and the thread; pending transactions fail with ConnectionFailed."""
        self._stop.set()
        with self._send_lock:
            if self._link:
                self._link.close()
        if self._thread.is_alive() and threading.current_thread() is not self._thread:
            self._thread.join()

    def wait_synced(self, timeout: float | None = None) -> bool:
        """Wait until the replica is complete; False when it is not in time."""
        return self._synced.wait(timeout)

    def transact(self, operations: Sequence[dict[str, Any]], timeout: float = 10.0) -> list[Any]:
        """Run one transaction.

        Raises:
            ConnectionFailed: there is no connection, or it broke before the reply (the outcome is then not known).
            Stale, TransactionFailed, Timeout
        """
        return check_replies(operations, self._request("transact", [self.name, *operations], timeout))

    def commit(self, plan: Plan, timeout: float = 10.0) -> None:
        """Carry out a plan as one transaction; an empty one costs nothing. Raises as `transact` does."""
        if plan:
            self.transact(plan.operations(), timeout)

    def _request(self, method: str, params: list[Any], timeout: float) -> Any:
        future: Future[Any] = Future()
        with self._send_lock:
            link = self._link
            if link is None or not self._synced.is_set():
                raise ConnectionFailed(f"{self.name}: not connected")
            number = link.next_id()
            self._pending[number] = future
            link.stream.send({"method": method, "params": params, "id": number})
        try:
            message = future.result(timeout)
        except FutureTimeout:
            raise Timeout(f"{self.name}: no answer to {method!r} within {timeout:g} s") from None
        finally:
            self._pending.pop(number, None)
        if message.get("error"):
            raise OvsdbError(f"{self.name}: {method}: {message['error']}")
        return message["result"]

    def _run(self) -> None:
        delay = FIRST_DELAY_S
        while not self._stop.is_set():
            try:
                link = self._connect()
                delay = FIRST_DELAY_S
                self._serve(link)
            except OvsdbError as error:
                if not self._stop.is_set():
                    LOG.warning("%s: %s; trying again in %.1f s", self.name, error, delay)
            except Exception:
                LOG.exception("%s: unexpected failure; connecting anew", self.name)
            self._disconnect()
            self._stop.wait(delay * random.uniform(0.5, 1.0))
            delay = min(delay * 2, LONGEST_DELAY_S)

    def _connect(self) -> Link:
        link = open_link(self._remotes, self.name, CONNECT_TIMEOUT_S, self._tls, writer=self._writer, known=self._known)
        try:
            self._follow_server(link)
            schema = parse_schema(link.call("get_schema", [self.name], CONNECT_TIMEOUT_S))
            wanted = requests(schema, self._tables)
            reply = link.call("monitor_cond", [self.name, self.name, wanted], CONNECT_TIMEOUT_S * 6)
            for message in link.missed:  # nothing of the database itself comes before that answer
                self._handle(link, message)
        except BaseException:
            link.close()
            raise
        fresh = initial(schema, self._tables, reply)
        with self.lock:
            before = self._database or Database(schema)
            self._database = fresh
            changes = list(compare(before, fresh, self._tables))
            with self._send_lock:
                self._link = link
                self._synced.set()
            if changes and self._on_change:
                self._on_change(changes)
        LOG.info("%s: connected to %s", self.name, link.remote)
        if self._on_sync:
            self._on_sync()
        return link

    def _follow_server(self, link: Link) -> None:
        """Have the server of a cluster tell when it loses the cluster, or the lead."""
        self._known = link.state
        if not link.state.clustered:
            return
        # Not the index, which changes with every transaction.
        columns = [name for name in STATE_COLUMNS if name != "index"]
        request = {"Database": [{"columns": columns, "where": [["name", "==", self.name]]}]}
        reply = link.call("monitor_cond", [SERVER, SERVER, request], CONNECT_TIMEOUT_S)
        for rows in reply.values():
            for row in rows.values():
                self._server_changed(link, row)

    def _server_changed(self, link: Link, update: dict[str, Any]) -> None:
        """Raises ConnectionFailed when another server has to be found."""
        row = update.get("initial") or update.get("insert") or update.get("modify") or {}
        stated = ServerState.of({"model": "clustered", **row})
        changed = {name: getattr(stated, name) for name in ("connected", "leader") if name in row}
        link.state = dataclasses.replace(link.state, **changed)
        link.state.check(link.remote, writer=self._writer)

    def _serve(self, link: Link) -> None:
        """Handle messages until the connection breaks. A silent server is probed, as its own probes may be off."""
        probed = False
        while not self._stop.is_set():
            try:
                message = link.stream.receive(PROBE_INTERVAL_S)
            except Timeout:
                if probed:
                    raise ConnectionFailed(f"{link.remote}: no answer to a probe") from None
                probed = True
                self._send(link, {"method": "echo", "params": [], "id": "probe"})
                continue
            probed = False
            self._handle(link, message)

    def _handle(self, link: Link, message: dict[str, Any]) -> None:
        method = message.get("method")
        if method == "update2" and message["params"][0] == SERVER:
            for row in message["params"][1].get("Database", {}).values():
                self._server_changed(link, row)
        elif method == "update2":
            with self.lock:
                changes = list(apply(self.database, self._tables, message["params"][1]))
                if changes and self._on_change:
                    self._on_change(changes)
        elif method == "echo":
            self._send(link, {"result": message["params"], "error": None, "id": message["id"]})
        elif method == "monitor_canceled":
            raise ConnectionFailed(f"{link.remote}: the server no longer serves {self.name}")
        elif method is None:
            future = self._pending.get(message.get("id", -1))
            if future and not future.done():
                future.set_result(message)

    def _send(self, link: Link, message: dict[str, Any]) -> None:
        with self._send_lock:
            link.stream.send(message)

    def _disconnect(self) -> None:
        with self._send_lock:
            self._synced.clear()
            link, self._link = self._link, None
            pending, self._pending = self._pending, {}
        if link:
            link.close()
            # Whatever was wrong with this one: the others first.
            self._remotes.sort(key=lambda remote: remote == link.remote)
        for future in pending.values():
            with contextlib.suppress(Exception):
                future.set_exception(ConnectionFailed(f"{self.name}: the connection broke"))
