# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""From objects as people write them to what a plan takes."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from ..columns import map_patch, map_text
from ..core.database import Database, StoredRow
from ..core.errors import DuplicateRow, InvalidValue
from ..core.rows import MapPatch, Parent, Ref, Row, SetPatch
from ..core.schema import Table
from ..ovsdb.client import Condition, Rows
from .kind import Children, Holder, Item, Kind, Option, told_apart
from .reading import options_from


@dataclass
class Wanted:
    """What a plan takes: desired rows, keys of rows that shall go, and columns from which both were derived."""

    owner: str
    rows: list[Row] = field(default_factory=list)
    absent: list[tuple[str, str]] = field(default_factory=list)
    unchanged: list[tuple[str, str, str]] = field(default_factory=list)

    def merge(self, row: Row) -> None:
        """Add a row of which several objects want a part: members of sets."""
        for position, other in enumerate(self.rows):
            if (other.table, other.name) == (row.table, row.name):
                columns = {name: _both(other.columns[name], patch) for name, patch in row.columns.items()}
                self.rows[position] = replace(other, columns=columns)
                return
        self.rows.append(row)


def _both(one: SetPatch, other: SetPatch) -> SetPatch:
    return SetPatch(one.add | other.add, one.remove | other.remove)


def want(
    kind: Kind,
    present: Iterable[Item],
    absent: Iterable[Item],
    actual: Database,
    wanted: Wanted,
    *,
    exact: bool = False,
) -> None:
    """Add the objects of a kind to what is wanted.

    Args:
        kind: their kind.
        present, absent: those that shall be there, and those that shall not.
        actual: the rows that are there; nameless ones are given further names in it.
        wanted: where to add.
        exact: options that are not given are emptied.

    Raises:
        InvalidValue: an object that cannot be; the message names it and the option.
    """
    present, absent = [kind.completed(item) for item in present], list(absent)
    builder = _Builder(kind, actual, wanted, exact)
    builder.call_nameless([*present, *absent])
    names = {builder.add(item) for item in present}
    for item in present:
        for name in kind.displaced(kind, item, actual):
            if name in names:
                raise InvalidValue(f"{kind.table} {kind.title(item)!r} and {name!r} {kind.exclude_each_other}")
            wanted.absent.append((kind.table, name))
    for item in absent:
        builder.remove(item)


class _Builder:
    def __init__(self, kind: Kind, actual: Database, wanted: Wanted, exact: bool) -> None:
        self.kind, self.actual, self.wanted, self.exact = kind, actual, wanted, exact
        self.spec = actual.schema.tables.get(kind.table)
        self.duplicates: dict[str, list[str]] = {}

    def call_nameless(self, items: Iterable[Item]) -> None:
        """Give the nameless rows of all holders that objects name further names: their titles."""
        if not self.kind.nameless:
            return
        places = {(holder, str(item[holder.option])) for item in items if (holder := self.kind.holder(item))}
        for holder, name in sorted(places, key=str):
            stored = find(self.actual, holder.table, name)
            if stored:
                self.duplicates |= _call_held(self.kind, holder, stored, self.actual)

    def add(self, item: Item) -> str:
        """Want an object. Returns the name of its row."""
        kind, name = self.kind, self.kind.title(item)
        complaint = kind.complaint(item)
        if complaint:
            raise InvalidValue(f"{kind.table} {name!r}: {complaint}")
        self._check_single(name)
        stored = find(self.actual, kind.table, name)
        holder = kind.holder(item)
        if stored is None:
            self._check_complete(name, item, holder)
        parent = Parent(holder.table, str(item[holder.option]), holder.column) if holder else None
        options = [option for option in kind.options if kind.nameless or kind.key != (option.name,) or option.column]
        columns = columns_of(options, item, self._cleared(item), self.spec, f"{kind.table} {name!r}")
        if self.spec:
            self._check_features(name, columns)
        self.wanted.rows.append(Row(kind.table, name, columns, self.wanted.owner, parent, kind.nameless))
        if kind.nameless and stored is None and parent:
            self.wanted.unchanged.append((parent.table, parent.name, parent.column))
        for option in kind.options:
            if option.children and item.get(option.name) is not None:
                self._children(option, option.children, name, stored, item[option.name])
            elif option.children and option.name in self._cleared(item):
                self._children(option, option.children, name, stored, [])
        for row in kind.further(kind, item, self.wanted.owner, self.actual):
            self.wanted.merge(row)
        return name

    def remove(self, item: Item) -> None:
        """Want an object gone."""
        if self.kind.nameless and not self.kind.holder(item):
            raise InvalidValue(f"{self.kind.table} {self.kind.title(item)!r}: {self._give_holder()}")
        name = self.kind.title(item)
        self._check_single(name)
        self.wanted.absent.append((self.kind.table, name))

    def _cleared(self, item: Item) -> Collection[str]:
        clear = set(item.get("clear") or ())
        return clear | set(self.kind.clearable) if self.exact else clear

    def _check_single(self, name: str) -> None:
        if name in self.duplicates:
            raise DuplicateRow(self.kind.table, name, self.duplicates[name])

    def _give_holder(self) -> str:
        return f"give {' or '.join(holder.option for holder in self.kind.holders)}, which has it"

    def _check_complete(self, name: str, item: Item, holder: Holder | None) -> None:
        if self.kind.holders and not holder:
            raise InvalidValue(f"{self.kind.table} {name!r}: to create it, {self._give_holder()}")
        missing = [option.name for option in self.kind.options if option.needed and item.get(option.name) is None]
        if missing:
            raise InvalidValue(f"{self.kind.table} {name!r}: to create it, give {', '.join(missing)}")

    def _check_features(self, name: str, columns: dict[str, Any]) -> None:
        """Say which option a database that is too old has no column for."""
        if self.spec is None:
            raise AssertionError("the table's schema is looked up first")
        for option in self.kind.options:
            if option.stored_in in columns and option.stored_in not in self.spec.columns and option.since:
                if columns[option.stored_in] in (None, option.empty, MapPatch(), {}):
                    del columns[option.stored_in]
                    continue
                raise InvalidValue(
                    f"{self.kind.table} {name!r}: option {option.name} needs OVN {option.since} or newer; this "
                    f"database (schema {self.actual.schema.version}) has no column {option.stored_in}; leave "
                    "the option out or upgrade OVN"
                )

    def _children(
        self, option: Option, children: Children, name: str, stored: StoredRow | None, items: Iterable[Item]
    ) -> None:
        place = (self.kind.table, name, option.stored_in)
        there = _call_children(option, children, name, stored, self.actual)
        kept = set()
        spec = self.actual.schema.tables.get(children.table)
        for item in items:
            title = _child_title(children, name, item)
            if title in kept:
                raise InvalidValue(f"{self.kind.table} {name!r}: option {option.name} lists one thing twice: {title}")
            kept.add(title)
            missing = [part.name for part in children.options if part.needed and item.get(part.name) is None]
            if missing:
                raise InvalidValue(f"{self.kind.table} {name!r}: {option.name}: give {', '.join(missing)}")
            every = {part.name for part in children.options}
            columns = columns_of(children.options, item, every, spec, f"{children.table} {title!r}")
            if title not in there:
                columns |= children.fresh(name, item)
                if stored and place not in self.wanted.unchanged:
                    self.wanted.unchanged.append(place)
            self.wanted.rows.append(
                Row(children.table, title, columns, self.wanted.owner, Parent(*place), nameless=True)
            )
        self.wanted.absent.extend((children.table, title) for title in sorted(there - kept))


def find(actual: Database, table: str, name: str) -> StoredRow | None:
    """The row of this name; None also when the schema has no such table, which the plan says better."""
    return actual.find(table, name) if table in actual.schema.tables else None


def call_all(kinds: Iterable[Kind], actual: Database) -> None:
    """Give all nameless objects further names, so that a diff can name those that go."""
    for kind in kinds:
        for holder in kind.holders if kind.nameless else ():
            for row in actual.rows(holder.table):
                _call_held(kind, holder, row, actual)


def _call_held(kind: Kind, holder: Holder, stored: StoredRow, actual: Database) -> dict[str, list[str]]:
    """Give the nameless objects of a holder further names. Returns the names that several of them would have."""
    name = actual.title(holder.table, stored.uuid)
    called: dict[str, list[str]] = {}
    for uuid in sorted(stored.columns.get(holder.column, ())):
        row = actual.get(kind.table, uuid)
        if row:
            content = options_from(kind.options, row, actual, only=kind.key)
            called.setdefault(kind.title({**content, holder.option: name}), []).append(uuid)
    for title, uuids in called.items():
        for number, uuid in enumerate(uuids):
            actual.call(kind.table, uuid, title if number == 0 else f"{title} ({uuid})")
    return {title: uuids for title, uuids in called.items() if len(uuids) > 1}


def _call_children(
    option: Option, children: Children, name: str, stored: StoredRow | None, actual: Database
) -> set[str]:
    titles: set[str] = set()
    held = stored.columns.get(option.stored_in, ()) if stored else ()
    for uuid in sorted(held):
        row = actual.get(children.table, uuid)
        if row:
            title = _child_title(children, name, options_from(children.options, row, actual, only=children.key))
            title = title if title not in titles else f"{title} ({uuid})"
            actual.call(children.table, uuid, title)
            titles.add(title)
    return titles


def _child_title(children: Children, name: str, item: Item) -> str:
    return f"{name}: {told_apart(children.options, children.key, item)}"


def columns_of(
    options: Iterable[Option], item: Item, cleared: Collection[str], spec: Table | None, where: str
) -> dict[str, Any]:
    """The columns that options manage.

    Raises:
        InvalidValue: a value that is none; `where` names the object.
    """
    options = [option for option in options if not option.children and not option.local]
    columns: dict[str, Any] = {}
    maps: dict[str, tuple[dict[str, Any], set[str]]] = {}
    whole = {option.stored_in for option in options if option.raw and option.name in cleared}
    for option in options:
        value = item.get(option.name)
        try:
            if option.raw or option.key:
                come, gone = maps.setdefault(option.stored_in, ({}, set()))
                _keys(option, value, option.name in cleared, come, gone, spec)
            elif value is not None:
                columns[option.stored_in] = _written(option, value)
            elif option.name in cleared:
                columns[option.stored_in] = option.empty
        except (ValueError, InvalidValue) as error:
            raise InvalidValue(f"{where}: option {option.name}: {error}") from None
    for column, (come, gone) in maps.items():
        if column in whole:
            columns[column] = come
        elif come or gone:
            columns[column] = MapPatch(come, frozenset(gone))
    return columns


def _keys(option: Option, value: Any, cleared: bool, come: dict[str, Any], gone: set[str], spec: Table | None) -> None:
    if option.raw:
        patch = map_patch(value or {})
        twice = sorted({*patch.set, *patch.remove} & {*come})
        if twice:
            raise InvalidValue(f"key {twice[0]!r} is given by an option of its own too; leave one out")
        come |= patch.set
        gone |= patch.remove
    elif value is not None:
        written = option.form.write(value)
        column = spec.columns.get(option.stored_in) if spec else None
        numbers = column and column.value and column.value.kind == "integer"
        come[option.key] = written if numbers else map_text(option.key, written)
    elif cleared:
        gone.add(option.key)


def _written(option: Option, value: Any) -> Any:
    if not option.refers:
        return option.form.write(value)
    if isinstance(value, list):
        return [Ref(option.refers, name) for name in value]
    return Ref(option.refers, value) if value else None


FEW = 50
"""As many objects are asked for one by one; of more, the whole table is read."""

NAMED_BY = {"BFD": ("logical_port", "dst_ip"), "DNS": ("external_ids",), "DHCP_Options": ("external_ids",)}
"""Columns that name a row, for tables that are referred to and have no column `name`."""

Selection = Mapping[str, Rows]


def selection(kinds: Mapping[Kind, Sequence[Item] | None]) -> Selection:
    """The tables, columns and rows that objects are compared with; a schema need not have all of them.

    Of each kind the objects that are given, or, for None, all.
    """
    parts = [("NB_Global", Rows(("external_ids",)))]
    for kind, items in kinds.items():
        parts += _parts(kind, items)
    columns: dict[str, set[str]] = {}
    wheres: dict[str, list[tuple[Condition, ...]]] = {}
    for table, rows in parts:
        columns.setdefault(table, set()).update(rows.columns)
        wheres.setdefault(table, []).append(rows.where)
    return {
        table: Rows(tuple(sorted(columns[table])), sum(where, ()) if all(where) else ())
        for table, where in wheres.items()
    }


def _parts(kind: Kind, items: Sequence[Item] | None) -> Iterator[tuple[str, Rows]]:
    own = {option.stored_in for option in kind.options if not option.local}
    few = items is not None and len(items) <= FEW
    yield kind.table, Rows(("name", "external_ids", *own), _conditions(kind, items or ()) if few else ())
    for option in kind.options:
        if option.refers:
            yield option.refers, Rows(NAMED_BY.get(option.refers, ("name",)))
        if option.children:
            parts = (part.stored_in for part in option.children.options)
            yield option.children.table, Rows(("name", "external_ids", *parts))
    for holder in kind.holders:
        named = {item.get(holder.option) for item in items or ()} - {None}
        where = tuple((("name", "==", name),) for name in sorted(map(str, named))) if few and kind.nameless else ()
        if where or not (few and kind.nameless):
            yield holder.table, Rows(("name", "external_ids", holder.column), where)
    for table, columns in (kind.related or {}).items():
        yield table, Rows(("name", "external_ids", *columns))


def _conditions(kind: Kind, items: Iterable[Item]) -> tuple[Condition, ...]:
    """Which rows the objects can be; all rows where that cannot be said."""
    if kind.key == ("name",) and kind.table in NAMED_BY:
        return ()
    options = {option.name: option for option in kind.options}
    by = [options[name] for name in kind.found_by or kind.key]
    conditions = {tuple((option.stored_in, "==", item.get(option.name)) for option in by) for item in items}
    whole = any(value is None for condition in conditions for _column, _function, value in condition)
    return () if whole else tuple(sorted(conditions, key=str))
