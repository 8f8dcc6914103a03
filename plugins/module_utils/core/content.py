# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""Rows of a database as plain data for people and programs: names in place of UUIDs, lists in place of sets."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from .database import Database, naming_column, row_name
from .rows import OWNER_KEY
from .schema import Column, Schema
from .values import Uuid


def name_columns(schema: Schema, tables: Iterable[str]) -> dict[str, list[str]]:
    """For the tables that these tables refer to: the columns from which a row's name is known."""
    result = {}
    for table in tables:
        for column in schema.tables[table].columns.values():
            for base in (column.key, column.value):
                if base and base.ref_table:
                    target = schema.tables[base.ref_table]
                    wanted = {naming_column(target) or "external_ids", "external_ids"}
                    result[target.name] = sorted(wanted & set(target.columns))
    return result


def described(database: Database, table: str, owner: str | None = None) -> list[dict[str, Any]]:
    """The rows of a table, sorted by name: {"_uuid": …, column: value}.

    A set is a sorted list, an empty optional column None, a reference the name of its row or, without one, its UUID.
    `owner` leaves the rows of others out.
    """
    spec = database.schema.tables[table]
    result = []
    for row in database.rows(table):
        if owner is not None and row.owner != owner:
            continue
        values = {name: _value(database, spec.columns[name], value) for name, value in sorted(row.columns.items())}
        result.append({"_uuid": str(row.uuid), **values})
    return sorted(result, key=lambda row: (_sort_key(row), row["_uuid"]))


def _sort_key(row: dict[str, Any]) -> str:
    named = row.get("name") or row.get("target")
    return str(named or (row.get("external_ids") or {}).get(OWNER_KEY, ""))


def _value(database: Database, column: Column, value: Any) -> Any:
    if isinstance(value, frozenset):
        return sorted((_atom(database, column, atom) for atom in value), key=str)
    if isinstance(value, dict):
        return {str(key): _atom(database, column, atom) for key, atom in sorted(value.items())}
    return _atom(database, column, value)


def _atom(database: Database, column: Column, atom: Any) -> Any:
    if not isinstance(atom, Uuid):
        return atom
    for base in (column.key, column.value):
        row = database.get(base.ref_table, atom) if base and base.ref_table else None
        if row:
            return row_name(database.schema.tables[row.table], row.columns) or str(atom)
    return str(atom)
