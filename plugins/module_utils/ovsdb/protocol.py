# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""What both kinds of connection have in common: finding a server that may be written to, and reading replies."""

from __future__ import annotations

import itertools
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .errors import ConnectionFailed, NoCluster, NotLeader, Stale, Timeout, TlsFailed, TransactionFailed
from .remote import Remote, Tls
from .stream import JsonStream


class Link:
    """A connection to one server on which calls are made one after the other."""

    def __init__(self, remote: Remote, timeout: float, tls: Tls | None) -> None:
        self.remote = remote
        self.state = ServerState()
        self.stream = JsonStream(remote.connect(timeout, tls), str(remote))
        self.missed: list[dict[str, Any]] = []  # what came between a call and its answer
        self._ids = itertools.count(1)

    def next_id(self) -> int:
        """A number for the next request."""
        return next(self._ids)

    def call(self, method: str, params: list[Any], timeout: float) -> Any:
        """Ask and wait for the answer; echo requests of the server are answered meanwhile.

        Raises:
            Timeout, ConnectionFailed, TransactionFailed
        """
        number = self.next_id()
        self.stream.send({"method": method, "params": params, "id": number})
        deadline = time.monotonic() + timeout
        while True:
            try:
                message = self.stream.receive(max(0.0, deadline - time.monotonic()))
            except Timeout:
                raise Timeout(f"{self.remote}: no answer to {method!r} within {timeout:g} s") from None
            if message.get("method") == "echo":
                self.stream.send({"result": message["params"], "error": None, "id": message["id"]})
            elif message.get("id") == number and "method" not in message:
                if message.get("error"):
                    raise_error(message["error"])
                return message["result"]
            else:
                self.missed.append(message)

    def close(self) -> None:
        """End the connection."""
        self.stream.close()


def raise_error(error: Any) -> None:
    """Turn a JSON-RPC error into an exception."""
    if isinstance(error, dict):
        raise TransactionFailed(error.get("error", "error"), error.get("details", ""), None)
    raise TransactionFailed(str(error), "", None)


def check_replies(operations: Sequence[dict[str, Any]], replies: Sequence[Any]) -> list[Any]:
    """The results of a transaction's operations.

    Raises:
        Stale: a guard did not hold, or another row has the name of one that was inserted.
        TransactionFailed: an operation, or the transaction as a whole, was refused.
    """
    for index, reply in enumerate(replies):
        if isinstance(reply, dict) and reply.get("error"):
            operation = operations[index] if index < len(operations) else None
            error, details = reply["error"], str(reply.get("details", ""))
            if operation and operation["op"] == "wait":
                raise Stale("the database has changed meanwhile", details, operation)
            if operation is None and _lost_race(error, details):
                raise Stale(error, details, None)
            raise TransactionFailed(error, details, operation)
    return list(replies[: len(operations)])


def _lost_race(error: str, details: str) -> bool:
    """Whether the commit failed on what a plan made from present rows would not have done.

    The server checks unique names and references at the end. A plan looks at both itself, so what the server finds has
    come about since: a row of the same name, or the deletion of a row that is referred to.
    """
    return error == "referential integrity violation" or (
        error == "constraint violation" and "to have identical values" in details
    )


def open_link(
    remotes: Sequence[Remote],
    database: str,
    timeout: float,
    tls: Tls | None,
    *,
    writer: bool,
    known: ServerState | None = None,
) -> Link:
    """Connect to the first remote that serves the database and, for a writer, leads its cluster.

    `known` is what another member of the cluster was seen to have: one that has less is passed over.

    Raises:
        ConnectionFailed: with what was wrong with each remote.
    """
    failures: list[ConnectionFailed] = []
    connect_timeout = min(timeout, OTHERS_WAIT_S) if len(remotes) > 1 else timeout
    for remote in remotes:
        link = None
        try:
            link = Link(remote, connect_timeout, tls)
            _check_server(link, database, connect_timeout, writer, known)
            return link
        except ConnectionFailed as error:
            failures.append(error)
        except Timeout as error:
            failures.append(ConnectionFailed(f"{error}; is the server busy or stopped?"))
        except TransactionFailed as error:
            failures.append(ConnectionFailed(f"{remote}: {error}"))
        if link:
            link.close()
    kind = type(failures[0]) if len({type(failure) for failure in failures}) == 1 else ConnectionFailed
    result = kind("; ".join(str(failure) for failure in failures))
    result.electing = any(failure.electing for failure in failures)
    raise result


@dataclass(frozen=True)
class ServerState:
    """What a server says about a database of its own: a row of `Database` in `_Server` (ovsdb-server(7)).

    `cluster` names the cluster, `index` is how much of its log this member has.
    """

    clustered: bool = False
    connected: bool = True
    leader: bool = True
    cluster: str = ""
    index: int = 0

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> ServerState:
        """From a row on the wire; a column that it lacks is as in a database of one server."""

        def optional(name: str) -> Any:
            value = row.get(name, ["set", []])
            return None if value == ["set", []] else value

        cluster = optional("cid")
        return cls(
            clustered=row.get("model") == "clustered",
            connected=bool(row.get("connected", True)),
            leader=bool(row.get("leader", True)),
            cluster=str(cluster[1]) if cluster else "",
            index=int(optional("index") or 0),
        )

    def check(self, remote: Remote, *, writer: bool) -> None:
        """Raise what speaks against this server: NoCluster, NotLeader."""
        if not self.clustered:
            return
        if not self.connected:
            raise NoCluster(f"{remote}: this server has lost its cluster")
        # The server of a unix socket is one that cannot be chosen; a member that does not lead passes writes on.
        if writer and not self.leader and remote.scheme != "unix":
            raise NotLeader(f"{remote}: this server does not lead its cluster; name the other members too")


SERVER = "_Server"
STATE_COLUMNS = ("name", "model", "connected", "leader", "cid", "index")
OTHERS_WAIT_S = 3.0
"""For so long one of several servers may be silent before the next one is tried."""


def server_state(link: Link, database: str, timeout: float) -> ServerState | None:
    """What the server says about the database. None: it is too old to say anything. Raises as `Link.call`."""
    try:
        names = link.call("list_dbs", [], timeout)
    except ConnectionFailed as error:
        if link.remote.scheme != "ssl":
            raise
        # A server with TLS 1.3 refuses a client only after the handshake.
        raise TlsFailed(f"{error}; is our certificate from the authority that the server trusts?") from None
    if database not in names:
        there = ", ".join(names)
        raise ConnectionFailed(
            f"{link.remote}: the server has no database {database} (it has {there}); is this the remote of another one?"
        )
    if SERVER not in names:
        return None
    query = {"op": "select", "table": "Database", "where": [["name", "==", database]], "columns": list(STATE_COLUMNS)}
    rows = link.call("transact", [SERVER, query], timeout)[0].get("rows", [])
    return ServerState.of(rows[0]) if rows else None


def _check_server(link: Link, database: str, timeout: float, writer: bool, known: ServerState | None) -> None:
    link.state = server_state(link, database, timeout) or ServerState()
    link.state.check(link.remote, writer=writer)
    if known and known.cluster and known.cluster == link.state.cluster and link.state.index < known.index:
        raise ConnectionFailed(f"{link.remote}: this server is behind what another member had already")
