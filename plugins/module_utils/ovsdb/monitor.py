# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""What to monitor, and how the server's updates change a replica (ovsdb-server(7), "Monitor_cond")."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ..core.database import Columns, Database
from ..core.schema import Column, Schema
from ..core.values import Uuid, empty, from_wire

Condition = list[Any]


@dataclass(frozen=True)
class Monitor:
    """The columns of a table to keep, and which rows: `where` is a list of conditions of which one must hold."""

    columns: Collection[str]
    where: tuple[Condition, ...] = ()


@dataclass(frozen=True)
class RowChange:
    """A row that came (`old` is None), changed or went (`new` is None)."""

    table: str
    uuid: Uuid
    old: Columns | None
    new: Columns | None


def requests(schema: Schema, tables: Mapping[str, Monitor]) -> dict[str, list[dict[str, Any]]]:
    """The monitor_cond requests. Tables and columns that this schema does not have are left out."""
    result = {}
    for name, monitor in tables.items():
        if name in schema.tables:
            request: dict[str, Any] = {"columns": [c for c in monitor.columns if c in schema.tables[name].columns]}
            if monitor.where:
                request["where"] = list(monitor.where)
            result[name] = [request]
    return result


def initial(schema: Schema, tables: Mapping[str, Monitor], updates: Mapping[str, Any]) -> Database:
    """A database that holds what the first reply of monitor_cond brings."""
    database = Database(schema)
    for _change in apply(database, tables, updates):
        pass
    return database


def apply(database: Database, tables: Mapping[str, Monitor], updates: Mapping[str, Any]) -> Iterator[RowChange]:
    """Carry out `update2` updates on the database and yield each changed row. Must be exhausted."""
    for table, rows in updates.items():
        columns = database.schema.tables[table].columns
        for uuid, update in rows.items():
            stored = database.get(table, uuid)
            old = stored.columns if stored else None
            new: Columns | None = None
            if "delete" in update:
                database.remove(table, uuid)
            elif "modify" in update:
                new = dict(old or {})
                for name, wire in update["modify"].items():
                    new[name] = _modified(columns[name], new.get(name, empty(columns[name])), wire)
                database.put(table, Uuid(uuid), new)
            else:
                sent = update.get("insert", update.get("initial")) or {}
                new = {name: empty(columns[name]) for name in tables[table].columns if name in columns}
                new.update({name: from_wire(columns[name], wire) for name, wire in sent.items()})
                database.put(table, Uuid(uuid), new)
            yield RowChange(table, Uuid(uuid), old, new)


def _modified(column: Column, old: Any, wire: Any) -> Any:
    """Sets are sent as the members that came or went, maps as the pairs that differ, all else as the new value."""
    difference = from_wire(column, wire)
    if column.is_set:
        return old ^ difference
    if not column.is_map:
        return difference
    result = dict(old)
    for key, value in difference.items():
        if result.get(key) == value:
            del result[key]
        else:
            result[key] = value
    return result


def compare(before: Database, after: Database, tables: Mapping[str, Monitor]) -> Iterator[RowChange]:
    """The changes between two states of a database, as after a reconnect."""
    for table in tables:
        for row in before.rows(table):
            if after.get(table, row.uuid) is None:
                yield RowChange(table, row.uuid, row.columns, None)
        for row in after.rows(table):
            stored = before.get(table, row.uuid)
            if stored is None or stored.columns != row.columns:
                yield RowChange(table, row.uuid, stored.columns if stored else None, row.columns)
