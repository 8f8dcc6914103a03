# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""What makes the database itself refuse a transaction of a watcher that does not lead any more.

The Lease says who may send a transaction, but one can be under way for long: a server that was stopped reads it when it
wakes up. So the first transaction of a leader puts its name into NB_Global:external_ids, and all further ones are
carried out only while that name stands there.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ovn_k8s.ovsdb.errors import Stale

EXTERNAL_ID = "ovn-k8s-watcher"

Operation = dict[str, Any]


class Fence:
    """The operations that go before those of each transaction."""

    def __init__(self, identity: str) -> None:
        self._stands = False
        self._wait: Operation = {
            "op": "wait",
            "table": "NB_Global",
            "timeout": 0,
            "where": [["external_ids", "includes", ["map", [[EXTERNAL_ID, identity]]]]],
            "columns": ["_uuid"],
            "until": "!=",
            "rows": [],
        }
        self._mutate: Operation = {
            "op": "mutate",
            "table": "NB_Global",
            "where": [],
            "mutations": [
                ["external_ids", "delete", ["set", [EXTERNAL_ID]]],
                ["external_ids", "insert", ["map", [[EXTERNAL_ID, identity]]]],
            ],
        }

    def operations(self) -> list[Operation]:
        """What the next transaction begins with."""
        return [self._wait if self._stands else self._mutate]

    def committed(self, replies: Sequence[Any]) -> None:
        """The replies to a transaction that was carried out. A database that has no NB_Global yet gets no fence."""
        if not self._stands:
            self._stands = bool(replies) and replies[0].get("count", 0) > 0

    def stopped(self, error: Stale) -> bool:
        """Whether it was the fence that a transaction failed on: another one leads."""
        return bool(error.operation == self._wait)

    def remove(self) -> None:
        """Begin anew: at the beginning of a time as leader, and when the database may be another one."""
        self._stands = False
