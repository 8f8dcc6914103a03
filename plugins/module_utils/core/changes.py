# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""The changes that a plan is made of, and how each is said to the database (RFC 7047, section 5.2).

Every change guards what it rests on with `wait` operations, so that a transaction whose ground has moved is aborted
as a whole and can be planned again.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from .database import Columns, naming_column
from .rows import ID_KEY
from .schema import Column, Table
from .values import NamedUuid, Uuid, keys_to_wire, members_to_wire, to_wire

Operation = dict[str, Any]


def _row_is(uuid: str) -> list[list[Any]]:
    return [["_uuid", "==", ["uuid", str(uuid)]]]


@dataclass(frozen=True)
class Insert:
    """A new row. `columns` are normalised; `symbol` names it within the transaction.

    Nothing keeps a `nameless` one from being made twice; who plans it guards the row that holds it.
    """

    table: Table
    name: str
    symbol: NamedUuid
    columns: Columns
    nameless: bool = False

    def guards(self, strict: bool = False) -> Iterator[Operation]:
        """Nobody else has made a row of this name; not needed where the schema itself makes the name unique."""
        if strict:
            yield from _referred(self.table, self.columns)
        column = naming_column(self.table)
        by_index = (column,) in self.table.indexes if column else bool(self.table.text_index)
        if by_index or self.nameless:
            return
        where: list[list[Any]] = []
        if not self.table.singleton:
            by_id = ["external_ids", "includes", ["map", [[ID_KEY, self.name]]]]
            where = [[column, "==", self.name] if column else by_id]
        yield {
            "op": "wait",
            "table": self.table.name,
            "timeout": 0,
            "where": where,
            "columns": [where[0][0]] if where else ["_uuid"],
            "until": "==",
            "rows": [],
        }

    def operations(self) -> Iterator[Operation]:
        row = {name: to_wire(self.table.columns[name], value) for name, value in self.columns.items()}
        yield {"op": "insert", "table": self.table.name, "row": row, "uuid-name": str(self.symbol)}


@dataclass(frozen=True)
class Update:
    """Columns of a stored row that take other values: `columns` maps a name to (old, new), both normalised.

    Sets and maps are mutated by what differs, so that two writers of one column do not undo each other. With `strict`
    guards they must still be what they were, too: for a writer who wants the whole column and is not the only one.
    Rows that are referred to must then still be there, too: the server drops weak references to others silently.
    """

    table: Table
    name: str
    uuid: Uuid
    columns: Mapping[str, tuple[Any, Any]]

    def guards(self, strict: bool = False) -> Iterator[Operation]:
        olds = {n: old for n, (old, _new) in self.columns.items() if strict or not _is_mutated(self.table.columns[n])}
        if olds:
            row = {name: to_wire(self.table.columns[name], old) for name, old in olds.items()}
            yield {
                "op": "wait",
                "table": self.table.name,
                "timeout": 0,
                "where": _row_is(self.uuid),
                "columns": sorted(row),
                "until": "==",
                "rows": [row],
            }
        else:
            yield _exists(self.table.name, self.uuid)
        if strict:
            yield from _referred(self.table, {name: new for name, (_old, new) in self.columns.items()})

    def operations(self) -> Iterator[Operation]:
        row: dict[str, Any] = {}
        mutations: list[list[Any]] = []
        for name, (old, new) in self.columns.items():
            column = self.table.columns[name]
            if column.is_map:
                mutations += _map_mutations(column, old, new)
            elif column.is_set and column.min == 0:
                mutations += _set_mutations(column, old, new)
            else:
                row[name] = to_wire(column, new)
        if row:
            yield {"op": "update", "table": self.table.name, "where": _row_is(self.uuid), "row": row}
        if mutations:
            yield {"op": "mutate", "table": self.table.name, "where": _row_is(self.uuid), "mutations": mutations}


@dataclass(frozen=True)
class Delete:
    """A stored row that goes. A row of a table that is no root goes by leaving the rows that hold it."""

    table: Table
    name: str
    uuid: Uuid
    columns: Columns

    def guards(self) -> Iterator[Operation]:
        yield _exists(self.table.name, self.uuid)

    def operations(self) -> Iterator[Operation]:
        if self.table.root:
            yield {"op": "delete", "table": self.table.name, "where": _row_is(self.uuid)}


@dataclass(frozen=True)
class Hold:
    """Rows that enter and leave a set or optional column of a stored row which holds them."""

    table: Table
    name: str
    uuid: Uuid
    column: Column
    enter: frozenset[Any]
    leave: frozenset[Any]

    def guards(self) -> Iterator[Operation]:
        yield _exists(self.table.name, self.uuid)

    def operations(self) -> Iterator[Operation]:
        mutations = []
        if self.enter:  # first, since a column that must not be empty must not be so in between either
            mutations.append([self.column.name, "insert", members_to_wire(self.column, self.enter)])
        if self.leave:
            mutations.append([self.column.name, "delete", members_to_wire(self.column, self.leave)])
        yield {"op": "mutate", "table": self.table.name, "where": _row_is(self.uuid), "mutations": mutations}


Change: TypeAlias = "Insert | Update | Delete | Hold"


@dataclass(frozen=True)
class Unchanged:
    """No change: a column of a stored row that must still have the value from which a plan was derived."""

    table: Table
    uuid: Uuid
    column: Column
    value: Any

    def guards(self) -> Iterator[Operation]:
        yield {
            "op": "wait",
            "table": self.table.name,
            "timeout": 0,
            "where": _row_is(self.uuid),
            "columns": [self.column.name],
            "until": "==",
            "rows": [{self.column.name: to_wire(self.column, self.value)}],
        }


def _is_mutated(column: Column) -> bool:
    return column.is_map or (column.is_set and column.min == 0)


def _exists(table: str, uuid: str) -> Operation:
    return {
        "op": "wait",
        "table": table,
        "timeout": 0,
        "where": _row_is(uuid),
        "columns": ["_uuid"],
        "until": "!=",
        "rows": [],
    }


def _referred(table: Table, columns: Columns) -> Iterator[Operation]:
    """The rows that columns refer to weakly are there."""
    for name, value in columns.items():
        column = table.columns[name]
        atoms = value.values() if isinstance(value, Mapping) else value if isinstance(value, frozenset) else (value,)
        for base in (column.key, column.value):
            if base and base.ref_table and not base.strong:
                yield from (_exists(base.ref_table, atom) for atom in atoms if isinstance(atom, Uuid))


def _map_mutations(column: Column, old: Mapping[Any, Any], new: Mapping[Any, Any]) -> Iterator[list[Any]]:
    # An insert into a map leaves a key that is there as it is. So every key that changes is deleted first, and by its
    # name alone: whoever else has written it meanwhile, the value that we want is the one that stays.
    gone = {key for key, value in old.items() if new.get(key) != value}
    come = {key: value for key, value in new.items() if old.get(key) != value}
    keys = sorted({*gone, *come}, key=str)
    if keys:
        yield [column.name, "delete", keys_to_wire(column, keys)]
    if come:
        yield [column.name, "insert", to_wire(column, come)]


def _set_mutations(column: Column, old: frozenset[Any], new: frozenset[Any]) -> Iterator[list[Any]]:
    if old - new:
        yield [column.name, "delete", to_wire(column, old - new)]
    if new - old:
        yield [column.name, "insert", to_wire(column, new - old)]
