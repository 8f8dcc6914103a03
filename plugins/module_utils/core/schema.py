# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""The part of an OVSDB schema that plans need (RFC 7047, section 3.2)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

UNLIMITED = 2**31


@dataclass(frozen=True)
class BaseType:
    """The type of one key or value: `kind` is integer, real, boolean, string or uuid."""

    kind: str
    enum: frozenset[Any] | None = None
    minimum: float | None = None
    maximum: float | None = None
    min_length: int = 0
    max_length: int = UNLIMITED
    ref_table: str | None = None
    strong: bool = True


@dataclass(frozen=True)
class Column:
    """A column: a map when it has a `value` type, a set when `max` is above 1, else a scalar or an optional one."""

    name: str
    key: BaseType
    value: BaseType | None = None
    min: int = 1
    max: int = 1
    mutable: bool = True

    @property
    def is_map(self) -> bool:
        return self.value is not None

    @property
    def is_set(self) -> bool:
        return self.value is None and self.max > 1

    @property
    def is_text(self) -> bool:
        """Whether it holds one string, always."""
        return self.value is None and self.key.kind == "string" and self.min == self.max == 1

    @property
    def is_optional(self) -> bool:
        return self.value is None and self.max == 1 and self.min == 0


@dataclass(frozen=True)
class Table:
    """A table. Rows of one that is not `root` live only while another row refers to them strongly."""

    name: str
    columns: Mapping[str, Column]
    root: bool
    singleton: bool
    indexes: tuple[tuple[str, ...], ...] = ()

    @cached_property
    def text_index(self) -> tuple[str, ...]:
        """The first strings that the schema makes unique together."""
        texts = {name for name, column in self.columns.items() if column.is_text}
        return next((index for index in self.indexes if texts.issuperset(index)), ())


@dataclass(frozen=True)
class Schema:
    """A database schema. `referrers` maps a table to the (table, column) pairs that hold its rows strongly."""

    name: str
    version: str
    tables: Mapping[str, Table]
    referrers: Mapping[str, tuple[tuple[str, str], ...]] = field(default_factory=dict)

    @property
    def root_row(self) -> str | None:
        """The table of the database's one root row, as NB_Global, if it has external_ids."""
        roots = (table for table in self.tables.values() if table.root and table.singleton)
        return next((table.name for table in roots if "external_ids" in table.columns), None)


def _atoms(value: Any) -> frozenset[Any]:
    if isinstance(value, list) and len(value) == 2 and value[0] == "set":
        return frozenset(value[1])
    return frozenset([value])


def _base_type(spec: Any) -> BaseType:
    if isinstance(spec, str):
        return BaseType(kind=spec)
    return BaseType(
        kind=spec["type"],
        enum=_atoms(spec["enum"]) if "enum" in spec else None,
        minimum=spec.get("minInteger", spec.get("minReal")),
        maximum=spec.get("maxInteger", spec.get("maxReal")),
        min_length=spec.get("minLength", 0),
        max_length=spec.get("maxLength", UNLIMITED),
        ref_table=spec.get("refTable"),
        strong=spec.get("refType", "strong") == "strong",
    )


def _column(name: str, spec: Mapping[str, Any]) -> Column:
    kind = spec["type"]
    if isinstance(kind, str):
        kind = {"key": kind}
    limit = kind.get("max", 1)
    return Column(
        name=name,
        key=_base_type(kind["key"]),
        value=_base_type(kind["value"]) if "value" in kind else None,
        min=kind.get("min", 1),
        max=UNLIMITED if limit == "unlimited" else limit,
        mutable=spec.get("mutable", True),
    )


def parse_schema(document: Mapping[str, Any]) -> Schema:
    """Read the JSON that the method `get_schema` returns."""
    tables = {
        name: Table(
            name=name,
            columns={column: _column(column, what) for column, what in spec["columns"].items()},
            root=spec.get("isRoot", False),
            singleton=spec.get("maxRows") == 1,
            indexes=tuple(tuple(index) for index in spec.get("indexes", ())),
        )
        for name, spec in document["tables"].items()
    }
    if not any(table.root for table in tables.values()):  # RFC 7047: a schema that marks no root has only roots
        tables = {
            name: Table(name, table.columns, True, table.singleton, table.indexes) for name, table in tables.items()
        }
    referrers: dict[str, list[tuple[str, str]]] = {}
    for table in tables.values():
        for column in table.columns.values():
            for base in (column.key, column.value):
                if base and base.ref_table and base.strong:
                    referrers.setdefault(base.ref_table, []).append((table.name, column.name))
    return Schema(
        name=document["name"],
        version=document.get("version", ""),
        tables=tables,
        referrers={name: tuple(places) for name, places in referrers.items()},
    )
