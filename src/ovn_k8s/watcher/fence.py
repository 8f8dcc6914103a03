# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""What makes the database itself refuse a transaction of a watcher that does not lead any more.

The Lease says who may send a transaction, but one can be under way for long: a server that was stopped reads it when it
wakes up. So the first transaction of a leader puts its name into NB_Global:external_ids, provided that there stands
what it has read since it leads, and all further ones are carried out only while its own name stands there.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ovn_k8s.ovsdb.errors import Stale

EXTERNAL_ID = "ovn-k8s-watcher"

Operation = dict[str, Any]

READ: Operation = {"op": "select", "table": "NB_Global", "where": [], "columns": ["external_ids"]}
"""What `Fence.found` wants to see the rows of."""


class Fence:
    """The operations that go before those of each transaction. Needs to have `found` something first."""

    def __init__(self, identity: str) -> None:
        self._identity = identity
        self._stands = False
        self._ours = _named(identity)
        self._before = self._ours
        self._mutate: Operation = {
            "op": "mutate",
            "table": "NB_Global",
            "where": [],
            "mutations": [
                ["external_ids", "delete", ["set", [EXTERNAL_ID]]],
                ["external_ids", "insert", ["map", [[EXTERNAL_ID, identity]]]],
            ],
        }

    def found(self, rows: Sequence[dict[str, Any]]) -> None:
        """The rows of NB_Global: at the beginning of a time as leader, and when the database may be another one."""
        name = dict(rows[0]["external_ids"][1]).get(EXTERNAL_ID, "") if rows else ""
        self._stands = name == self._identity
        # That nobody's name is there can only be said of the column as a whole.
        self._before = _named(name) if name else _wait(READ["where"], READ["columns"], "==", list(rows))

    def operations(self) -> list[Operation]:
        """What the next transaction begins with."""
        return [self._ours] if self._stands else [self._before, self._mutate]

    def committed(self, replies: Sequence[Any]) -> None:
        """The replies to a transaction that was carried out. A database that has no NB_Global yet gets no fence."""
        if not self._stands:
            self._stands = replies[1].get("count", 0) > 0

    def stopped(self, error: Stale) -> bool:
        """Whether it was the fence that a transaction failed on: another one leads."""
        return error.operation in (self._ours, self._before)


def _named(identity: str) -> Operation:
    where = [["external_ids", "includes", ["map", [[EXTERNAL_ID, identity]]]]]
    return _wait(where, ["_uuid"], "!=", [])


def _wait(where: list[Any], columns: list[str], until: str, rows: list[Any]) -> Operation:
    return {
        "op": "wait",
        "table": "NB_Global",
        "timeout": 0,
        "where": where,
        "columns": columns,
        "until": until,
        "rows": rows,
    }
