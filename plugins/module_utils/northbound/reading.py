# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""From rows back to objects as people write them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from ..columns import map_text
from ..core.database import Database, StoredRow
from ..core.rows import ID_KEY, OWNER_KEY
from ..core.values import Uuid
from .kind import Kind, Option

OUR_KEYS = (ID_KEY, OWNER_KEY)


def objects(kind: Kind, actual: Database, owner: str | None = None) -> list[dict[str, Any]]:
    """The objects of a kind as items of its module, sorted; options that have nothing to say are left out.

    `owner` leaves the objects of others out.
    """
    if kind.table not in actual.schema.tables:
        return []
    held = _holders(kind, actual)
    found = []
    for row in actual.rows(kind.table):
        if owner is not None and actual.owner_of(row) != owner:
            continue
        item = options_from(kind.options, row, actual)
        if kind.key == ("name",):
            item["name"] = actual.title(kind.table, row.uuid)
        item |= held.get(row.uuid, {})
        if kind.holders and row.uuid not in held:
            continue  # goes with the transaction that let go of it
        found.append(item)
    for item in found:
        item.update(kind.noticed(item, found))
    return sorted(found, key=kind.title)


def _holders(kind: Kind, actual: Database) -> dict[str, dict[str, str]]:
    held: dict[str, dict[str, str]] = {}
    for holder in kind.holders:
        for row in actual.rows(holder.table):
            name = actual.title(holder.table, row.uuid)
            for uuid in row.columns.get(holder.column, ()):
                held[uuid] = {holder.option: name}
    return held


def options_from(
    options: Iterable[Option], row: StoredRow, actual: Database, only: Collection[str] | None = None
) -> dict[str, Any]:
    """The options that stand for what a row holds. `only` picks some of them."""
    options = [option for option in options if not option.local]
    keys = {(option.stored_in, option.key) for option in options if option.key}
    item: dict[str, Any] = {}
    unread: set[tuple[str, str]] = set()
    for option in sorted(options, key=lambda option: option.raw):
        if only is not None and option.name not in only:
            continue
        stored = row.columns.get(option.stored_in)
        if option.raw:
            mine = {column_key for column_key in keys - unread if column_key[0] == option.stored_in}
            value: Any = _rest(stored or {}, {key for _column, key in mine})
        elif option.key:
            value = _from_map(option, stored or {})
            if value is None and option.key in (stored or {}):
                unread.add((option.stored_in, option.key))
        elif option.children:
            value = _children(option, stored or (), actual)
        else:
            value = _from_column(option, stored, actual)
        unset = stored == option.empty and not (option.key or option.raw or option.needed)
        if value not in (None, "", [], {}) and not unset:
            item[option.name] = value
    return item


def _rest(stored: Mapping[str, Any], mine: Collection[str]) -> dict[str, Any]:
    return {key: value for key, value in sorted(stored.items()) if key not in mine and not _is_ours(key)}


def _is_ours(key: str) -> bool:
    return key in OUR_KEYS or key.startswith(f"{OWNER_KEY}:")


def _from_map(option: Option, stored: Mapping[str, Any]) -> Any:
    """What a key says, or None when it is missing or no such value: it is then left to the raw option."""
    text = stored.get(option.key)
    if text is None:
        return None
    value: Any = text
    try:
        if option.type == "int":
            value = int(text)
        elif option.type == "bool":
            value = {"true": True, "false": False}[text]
        value = option.form.read(value)
        written = option.form.write(value)
        return value if written == text or map_text(option.key, written) == text else None
    except (ValueError, KeyError):
        return None


def _from_column(option: Option, stored: Any, actual: Database) -> Any:
    if option.refers:
        if isinstance(stored, frozenset):
            return sorted(actual.title(option.refers, uuid) for uuid in stored)
        return option.form.read(actual.title(option.refers, stored)) if isinstance(stored, Uuid) else None
    if isinstance(stored, frozenset):
        return option.form.read(sorted(stored, key=str))
    if isinstance(stored, dict):
        return option.form.read(dict(sorted(stored.items())))
    return option.form.read(stored) if stored is not None else None


def _children(option: Option, stored: Iterable[str], actual: Database) -> list[dict[str, Any]]:
    if option.children is None:
        raise AssertionError(f"option {option.name} lists no rows")
    rows = (actual.get(option.children.table, uuid) for uuid in stored)
    key = option.children.key
    items = [options_from(option.children.options, row, actual) for row in rows if row]
    return sorted(items, key=lambda item: [(item.get(name) is not None, item.get(name)) for name in key])
