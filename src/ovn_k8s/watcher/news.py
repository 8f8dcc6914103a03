# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""What news of the database mean: which objects have to be looked at again, as somebody else has changed their rows."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from ovn_k8s.core.database import Database, row_owner
from ovn_k8s.ovsdb.monitor import RowChange

from . import pods
from .workqueue import UNSCOPED, Key, WorkQueue

SWITCH = "switch"
PORT = "port"
SURROUNDINGS = "surroundings"
NOTES = (SWITCH, PORT, SURROUNDINGS)
"""Kinds of keys that are no objects: what matters to several handlers."""

OF_SWITCHES = ("name", "other_config", "external_ids", "load_balancer_group")
"""What the owner of a switch looks after; ports and load balancers come and go with their own owners."""
OF_ROUTERS = ("name", "ports", "static_routes", "nat", "options", "external_ids")
"""The same of a router."""
OF_PORTS = ("name", "addresses", "external_ids")
"""What of a port that is no pod's matters to others."""


class News:
    """Fills the queue. All methods but `key_of` are called with the replica locked.

    `kinds` are those of keys that have rows; `waiting` has the keys of objects that lack something.
    """

    def __init__(self, queue: WorkQueue, kinds: Collection[str], waiting: Mapping[Key, str]) -> None:
        self._queue = queue
        self._kinds = kinds
        self._waiting = waiting
        self._expected: dict[str, int] = {}  # owners of a transaction under way: how often the server told of them

    def key_of(self, owner: str) -> Key | None:
        """The key that an owner of rows stands for; None when it is none of our kinds."""
        kind, _, rest = owner.partition("/")
        namespace, _, name = rest.partition("/")
        if kind in UNSCOPED:
            namespace, name = "", rest
        complete = name and (namespace or kind in UNSCOPED)
        return Key(kind, namespace, name) if kind in self._kinds and complete else None

    def expect(self, keys: Iterable[Key]) -> None:
        """A transaction about these objects is on its way: the server tells of it before it answers."""
        self._expected = {str(key): 0 for key in keys}

    def heard(self) -> dict[str, int]:
        """How often the server has told of the objects, by their owners. One that our transaction changed is told of
        once for that: what is above is somebody else's change."""
        heard, self._expected = self._expected, {}
        return heard

    def tell(self, changes: Sequence[RowChange], database: Database) -> None:
        """Rows have changed, all of them at once. Must be quick."""
        echoed: set[str] = set()
        for change in changes:
            old, new = change.old or {}, change.new or {}
            if change.table == "Logical_Switch":
                if _differ(old, new, ("name", "other_config")):
                    self._note(SWITCH, old, new)
                self._members_lost(old, new, database)
                if _differ(old, new, OF_SWITCHES):
                    self._owned(old, new, echoed)
            elif change.table == "Load_Balancer_Group":
                self._group_changed(change, database)
            elif change.table == "Logical_Router":
                self._members_lost(old, new, database)
                if _differ(old, new, OF_ROUTERS):
                    self._owned(old, new, echoed)
                    self._queue.add(Key(SURROUNDINGS, "", ""))
            else:
                self._owned(old, new, echoed)
                if change.table == "Logical_Router_Static_Route":
                    self._queue.add(Key(SURROUNDINGS, "", ""))
                elif change.table == "Logical_Switch_Port" and _differ(old, new, OF_PORTS):
                    self._note(PORT, *(columns for columns in (old, new) if not self._is_pods(columns)))
        for owner in echoed:
            self._expected[owner] += 1

    def _note(self, kind: str, *rows: Mapping[str, Any]) -> None:
        for name in {columns["name"] for columns in rows if columns}:
            self._queue.add(Key(kind, "", name))

    def _owned(self, old: Mapping[str, Any], new: Mapping[str, Any], echoed: set[str]) -> None:
        for owner in {row_owner(old), row_owner(new)}:
            key = self.key_of(owner)
            if owner in self._expected:
                echoed.add(owner)
            elif key is not None:
                self._queue.add(key)

    def _is_pods(self, columns: Mapping[str, Any]) -> bool:
        return pods.pod_key(row_owner(columns)) is not None

    def _group_changed(self, change: RowChange, database: Database) -> None:
        """A group that came lets services in; one that lost members may have to get them back."""
        if change.old is None:
            for key in [key for key in list(self._waiting) if key.kind != pods.KIND]:
                self._queue.add(key)
            return
        self._members_lost(change.old, change.new or {}, database)

    def _members_lost(self, old: Mapping[str, Any], new: Mapping[str, Any], database: Database) -> None:
        before = old.get("load_balancer", frozenset())
        after = new.get("load_balancer", frozenset())
        if len(after) < len(before):
            for uuid in before - after:
                row = database.get("Load_Balancer", uuid)
                owner = self.key_of(row.owner) if row else None
                if owner is not None:
                    self._queue.add(owner)


def _differ(old: Mapping[str, Any], new: Mapping[str, Any], columns: Iterable[str]) -> bool:
    return any(old.get(column) != new.get(column) for column in columns)
