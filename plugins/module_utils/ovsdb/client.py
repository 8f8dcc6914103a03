# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""A blocking connection for modules and commands: read what is there, commit what is planned."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self, TypeAlias

from ..core.database import Database
from ..core.errors import InvalidValue
from ..core.plan import Plan
from ..core.schema import Column, Schema, parse_schema
from ..core.values import Uuid, from_wire, normalise
from .errors import ConnectionFailed, Stale
from .protocol import Link, check_replies, open_link
from .remote import Remote, Tls


@dataclass(frozen=True)
class Rows:
    """Some columns of some rows: `where` is a list of conditions (RFC 7047, section 5.1) of which one must hold.

    No columns means all columns, no conditions all rows.
    """

    columns: tuple[str, ...] = ()
    where: tuple[Condition, ...] = ()


Tables: TypeAlias = "Iterable[str] | Mapping[str, Iterable[str] | Rows | None]"
Condition: TypeAlias = "tuple[tuple[str, str, Any], ...]"

ATTEMPTS = 20
LONGEST_PAUSE_S = 0.05
"""Between two attempts to commit, chosen at random so that writers who fail over each other get out of step."""
ELECTION_PAUSE_S = 0.3
"""Between two attempts to find the leader of a cluster."""


class Client:
    """A connection to a database, opened at once and closed by `close` or the end of a `with` block.

    Of several servers, the members of a cluster, it takes the leader, and waits for one if they are just electing.

    Raises:
        ConnectionFailed: no remote serves the database (see its subclasses).
    """

    def __init__(
        self, remotes: Sequence[Remote], database: str, *, tls: Tls | None = None, timeout: float = 10.0
    ) -> None:
        self.database = database
        self.timeout = timeout
        self._link: Link = _open(remotes, database, timeout, tls)
        self.schema: Schema = parse_schema(self._link.call("get_schema", [database], timeout))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def remote(self) -> Remote:
        """The server that answered."""
        return self._link.remote

    def transact(self, operations: Sequence[dict[str, Any]]) -> list[Any]:
        """Run one transaction and return a result for each operation.

        Raises:
            Stale, TransactionFailed, Timeout, ConnectionFailed
        """
        replies = self._link.call("transact", [self.database, *operations], self.timeout)
        return check_replies(operations, replies)

    def snapshot(self, tables: Tables | None = None) -> Database:
        """The rows of these tables (or of all) as of one moment; what the schema lacks is left out.

        A mapping says which columns to read of a table, or which of which rows; None stands for all.
        """
        wanted = tables if isinstance(tables, Mapping) else dict.fromkeys(tables or self.schema.tables)
        queries = [
            query for name, what in wanted.items() if name in self.schema.tables for query in self._queries(name, what)
        ]
        result = Database(self.schema)
        for query, reply in zip(queries, self.transact(queries), strict=True):
            name = query["table"]
            specs = self.schema.tables[name].columns
            for row in reply["rows"]:
                values = {column: from_wire(spec, row[column]) for column, spec in specs.items() if column in row}
                result.put(name, Uuid(row["_uuid"][1]), values)
        return result

    def _queries(self, table: str, what: Iterable[str] | Rows | None) -> Iterator[dict[str, Any]]:
        rows = what if isinstance(what, Rows) else Rows(tuple(what or ()))
        known = self.schema.tables[table].columns
        for condition in rows.where or ((),):
            clauses = [
                list(clause) for clause in condition if clause[0] in known and _fits(known[clause[0]], clause[2])
            ]
            query: dict[str, Any] = {"op": "select", "table": table, "where": clauses}
            if rows.columns:
                query["columns"] = ["_uuid", *(column for column in rows.columns if column in known)]
            yield query

    def commit(self, plan: Plan) -> None:
        """Carry out a plan as one transaction; an empty one costs nothing.

        Nobody is the only one who uses modules and commands, so every column that changes must be what it was.

        Raises:
            Stale: the rows that it rests on have changed.
            TransactionFailed, Timeout, ConnectionFailed
        """
        if plan:
            self.transact(plan.operations(strict=True))

    def converge(self, tables: Tables, make_plan: Callable[[Database], Plan], *, check: bool = False) -> Plan:
        """Read, plan and commit, anew when somebody else was faster. Returns the plan that was (or would be) made."""
        wanted = tables if isinstance(tables, Mapping) else list(tables)
        for attempt in range(1, ATTEMPTS + 1):
            plan = make_plan(self.snapshot(wanted))
            if check:
                return plan
            try:
                self.commit(plan)
                return plan
            except Stale:
                if attempt == ATTEMPTS:
                    raise
                time.sleep(random.uniform(0.0, LONGEST_PAUSE_S))
        raise AssertionError("unreachable")

    def close(self) -> None:
        """End the connection."""
        self._link.close()


def _open(remotes: Sequence[Remote], database: str, timeout: float, tls: Tls | None) -> Link:
    deadline = time.monotonic() + timeout
    while True:
        try:
            return open_link(remotes, database, timeout, tls, writer=True)
        except ConnectionFailed as error:
            if len(remotes) == 1 or not error.electing or time.monotonic() + ELECTION_PAUSE_S > deadline:
                raise
        time.sleep(ELECTION_PAUSE_S)


def _fits(column: Column, value: Any) -> bool:
    """Whether a condition may name this value: the server takes none that the column cannot have."""
    try:
        normalise(column, value)
    except InvalidValue:
        return False
    return True
