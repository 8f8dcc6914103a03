# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""How a desired state is written down: rows by name, references by name, owners."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

OWNER_KEY = "ovn-k8s-owner"
"""external_ids key: who made the row, as `cluster`, `node/<name>`, `gateway/<name>` or `<kind>/<namespace>/<name>`."""

ID_KEY = "ovn-k8s-id"
"""external_ids key: the name of a row in a table that has no name of its own (static routes, NAT, ACLs, …)."""


@dataclass(frozen=True)
class Ref:
    """A reference to a row by its name; the row exists already or is wanted by the same plan."""

    table: str
    name: str


@dataclass(frozen=True)
class Parent:
    """The row, and its column, that holds a row of a table which is not a root of the schema."""

    table: str
    name: str
    column: str


@dataclass(frozen=True)
class MapPatch:
    """For a map column that we share with others: the keys to set and the keys to remove; the rest stays."""

    set: Mapping[str, str] = field(default_factory=dict)
    remove: frozenset[str] = frozenset()


@dataclass(frozen=True)
class SetPatch:
    """For a set column that we share with others: the members to have and those not to have; the rest stays."""

    add: frozenset[Any] = frozenset()
    remove: frozenset[Any] = frozenset()


@dataclass(frozen=True)
class Row:
    """A row as it should be. Only the columns that are given are managed; the others are left as they are.

    `name` is the row's key: its column `name` (or `target`), the strings of its unique index with spaces between them,
    else `external_ids:ovn-k8s-id`, and `.` in a table that holds one row only. A dict is the whole map, a `MapPatch` or
    `SetPatch` a part; sets are any iterable.

    A `nameless` row is known by its content only: its name is not written to it, and it is there if the name is a
    further one of a stored row (`Database.call`).
    """

    table: str
    name: str
    columns: Mapping[str, Any] = field(default_factory=dict)
    owner: str = ""
    parent: Parent | None = None
    nameless: bool = False
