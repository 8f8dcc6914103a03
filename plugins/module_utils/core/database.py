# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""The actual state: the rows of a database in memory, found by name or by owner in constant time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from .errors import DuplicateRow, InvalidValue
from .rows import ID_KEY, OWNER_KEY
from .schema import Schema, Table
from .values import Uuid

Columns = Mapping[str, Any]

NAMING_COLUMNS = ("name", "target")
SINGLETON_NAME = "."


def naming_column(table: Table) -> str | None:
    """The column that names a row of this table, or None where `external_ids:ovn-k8s-id` does."""
    return next((column for column in NAMING_COLUMNS if column in table.columns), None)


def row_name(table: Table, columns: Columns) -> str:
    """The name by which a row is found; an empty string when it has none."""
    if table.singleton:
        return SINGLETON_NAME
    column = naming_column(table)
    if column and columns.get(column):
        return str(columns[column])
    index = () if column else table.text_index
    if index and all(columns.get(name) for name in index):
        return " ".join(columns[name] for name in index)
    return str((columns.get("external_ids") or {}).get(ID_KEY, ""))


def row_owner(columns: Columns) -> str:
    """The owner that a row carries, or an empty string."""
    return str((columns.get("external_ids") or {}).get(OWNER_KEY, ""))


def owner_entry(table: str, name: str) -> str:
    """The key, in the external_ids of the database's one root row, that holds a row's owner for want of its own."""
    return f"{OWNER_KEY}:{table}:{name}"


@dataclass(frozen=True)
class StoredRow:
    """A row of the database. `columns` must not be changed by who reads it."""

    table: str
    uuid: Uuid
    columns: Columns

    @property
    def owner(self) -> str:
        return row_owner(self.columns)


class Database:
    """A replica or snapshot of (some tables and columns of) a database.

    Not thread-safe: who shares one guards it with a lock.
    """

    def __init__(self, schema: Schema) -> None:
        self.schema = schema
        self._rows: dict[str, dict[str, Columns]] = {}
        self._by_name: dict[str, dict[str, set[str]]] = {}
        self._by_owner: dict[str, set[tuple[str, str]]] = {}
        self._aliases: dict[tuple[str, str], str] = {}
        self._called: dict[tuple[str, str], str] = {}

    def call(self, table: str, uuid: str, name: str) -> None:
        """Have `find` return a row by a further name, before any row that carries it.

        For tables where a row is known by who holds it only: two bridges may have a controller at the same address.
        """
        self._aliases[table, name] = uuid
        self._called[table, uuid] = name

    def put(self, table: str, uuid: str, columns: Columns) -> None:
        """Add a row or replace what it holds."""
        if uuid in self._rows.setdefault(table, {}):
            self._forget(table, uuid)
        self._rows[table][uuid] = columns
        name = row_name(self.schema.tables[table], columns)
        if name:
            self._by_name.setdefault(table, {}).setdefault(name, set()).add(uuid)
        owner = row_owner(columns)
        if owner:
            self._by_owner.setdefault(owner, set()).add((table, uuid))

    def remove(self, table: str, uuid: str) -> None:
        """Forget a row; one that is not there is no error."""
        if uuid in self._rows.get(table, {}):
            self._forget(table, uuid)
            del self._rows[table][uuid]

    def _forget(self, table: str, uuid: str) -> None:
        columns = self._rows[table][uuid]
        name = row_name(self.schema.tables[table], columns)
        if name:
            uuids = self._by_name[table][name]
            uuids.discard(uuid)
            if not uuids:
                del self._by_name[table][name]
        owner = row_owner(columns)
        if owner:
            owned = self._by_owner[owner]
            owned.discard((table, uuid))
            if not owned:
                del self._by_owner[owner]

    def get(self, table: str, uuid: str) -> StoredRow | None:
        """The row with this UUID."""
        columns = self._rows.get(table, {}).get(uuid)
        return None if columns is None else StoredRow(table, Uuid(uuid), columns)

    def find(self, table: str, name: str) -> StoredRow | None:
        """The row with this name. A row that has no name is found by its UUID.

        Raises:
            DuplicateRow: several rows carry it.
            InvalidValue: the schema has no such table.
        """
        if table not in self.schema.tables:
            raise InvalidValue(f"database {self.schema.name} {self.schema.version} has no table {table}")
        alias = self._aliases.get((table, name))
        if alias is not None:
            return self.get(table, alias)
        uuids = self._by_name.get(table, {}).get(name)
        if not uuids:
            stored = self.get(table, name)
            return stored if stored and not row_name(self.schema.tables[table], stored.columns) else None
        if len(uuids) > 1:
            raise DuplicateRow(table, name, sorted(uuids))
        return self.get(table, next(iter(uuids)))

    def title(self, table: str, uuid: str) -> str:
        """What to call a row in front of people: its further name, its name, else its UUID."""
        called = self._called.get((table, uuid))
        columns = self._rows.get(table, {}).get(uuid)
        if called or columns is None:
            return called or uuid
        return row_name(self.schema.tables[table], columns) or uuid

    def owner_of(self, row: StoredRow) -> str:
        """Whose a row is. Rows of a table without external_ids are noted in those of the database's one root row."""
        spec = self.schema.tables[row.table]
        return row.owner if "external_ids" in spec.columns else self._noted().get(self._entry(row), "")

    def noted(self, owner: str) -> Iterator[StoredRow]:
        """The rows of an owner that cannot carry it."""
        entries = [entry for entry, noted in self._noted().items() if noted == owner]
        for entry in sorted(entries):
            _key, table, name = entry.split(":", 2)
            row = self.find(table, name) if table in self._rows else None
            if row:
                yield row

    def _noted(self) -> Mapping[str, str]:
        root = self.schema.root_row
        rows = self._rows.get(root, {}) if root else {}
        ids = next(iter(rows.values()), {}).get("external_ids") or {}
        return {key: owner for key, owner in ids.items() if key.startswith(f"{OWNER_KEY}:")}

    def _entry(self, row: StoredRow) -> str:
        return owner_entry(row.table, row_name(self.schema.tables[row.table], row.columns))

    def rows(self, table: str) -> Iterator[StoredRow]:
        """All rows of a table."""
        for uuid, columns in self._rows.get(table, {}).items():
            yield StoredRow(table, Uuid(uuid), columns)

    def count(self, table: str) -> int:
        """How many rows a table has."""
        return len(self._rows.get(table, {}))

    def owners(self) -> Iterator[str]:
        """Every owner that some row carries, or that is noted for one that cannot."""
        return iter({*self._by_owner, *self._noted().values()})

    def owned(self, owner: str) -> Iterator[StoredRow]:
        """The rows that carry this owner."""
        for table, uuid in sorted(self._by_owner.get(owner, ())):
            yield StoredRow(table, Uuid(uuid), self._rows[table][uuid])

    def holders(self, table: str, uuid: str) -> Iterator[tuple[StoredRow, str]]:
        """The rows, and their columns, that refer strongly to a row."""
        for holder_table, column in self.schema.referrers.get(table, ()):
            for holder_uuid, columns in self._rows.get(holder_table, {}).items():
                value = columns.get(column)
                if value == uuid or (isinstance(value, (frozenset, dict)) and _holds(value, uuid)):
                    yield StoredRow(holder_table, Uuid(holder_uuid), columns), column


def _holds(value: frozenset[Any] | dict[Any, Any], uuid: str) -> bool:
    return uuid in value if isinstance(value, frozenset) else uuid in value.values()
