# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""The plan: what has to change so that the actual rows become the desired ones."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, TypeAlias

from .changes import Change, Delete, Hold, Insert, Operation, Unchanged, Update
from .database import SINGLETON_NAME, Database, StoredRow, naming_column, owner_entry
from .errors import InvalidValue, MissingReference, OwnershipConflict
from .rows import ID_KEY, OWNER_KEY, MapPatch, Parent, Ref, Row, SetPatch
from .schema import Column, Table
from .values import NamedUuid, Uuid, empty, members, normalise

Owners: TypeAlias = "Collection[str] | Callable[[str], bool]"
Key = tuple[str, str]


@dataclass(frozen=True)
class Plan:
    """Changes that one transaction makes. An empty plan is false."""

    changes: tuple[Change, ...]
    actual: Database
    unchanged: tuple[Unchanged, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.changes)

    def operations(self, *, strict: bool = False) -> list[Operation]:
        """The transaction: first every guard, then every change.

        `strict` guards also the sets and maps that change, which are otherwise mutated whatever they have become, and
        the rows that are referred to weakly.
        """
        guards = {str(guard): guard for guard in self._guards(strict)}
        return [*guards.values(), *(operation for change in self.changes for operation in change.operations())]

    def _guards(self, strict: bool) -> Iterator[Operation]:
        for ground in self.unchanged:
            yield from ground.guards()
        for change in self.changes:
            yield from change.guards(strict) if isinstance(change, (Insert, Update)) else change.guards()

    def diff(self) -> dict[str, dict[str, Any]]:
        """What Ansible shows: `before` and `after`, each {"<table> <name>": {column: value}}."""
        before: dict[str, Any] = {}
        after: dict[str, Any] = {}
        names = {c.symbol: c.name for c in self.changes if isinstance(c, Insert)}
        gone = {c.uuid for c in self.changes if isinstance(c, Delete)}
        for change in self.changes:
            title = f"{change.table.name} {change.name}"
            if isinstance(change, Insert):
                after[title] = self._readable(change.table, change.columns, names)
            elif isinstance(change, Update):
                old = {column: value for column, (value, _new) in change.columns.items()}
                new = {column: value for column, (_old, value) in change.columns.items()}
                before.setdefault(title, {}).update(self._readable(change.table, old, names))
                after.setdefault(title, {}).update(self._readable(change.table, new, names))
            elif isinstance(change, Delete):
                before[title] = self._readable(change.table, change.columns, names)
            elif change.uuid not in gone:
                stored = self.actual.get(change.table.name, change.uuid)
                value = _as_set(stored.columns[change.column.name]) if stored else frozenset()
                column = change.column.name
                became = (value - change.leave) | change.enter
                before.setdefault(title, {}).update(self._readable(change.table, {column: value}, names))
                after.setdefault(title, {}).update(self._readable(change.table, {column: became}, names))
        return {"before": before, "after": after}

    def _readable(self, table: Table, columns: Mapping[str, Any], names: Mapping[NamedUuid, str]) -> dict[str, Any]:
        return {
            name: _plain(value, partial(self._atom, table.columns[name], names))
            for name, value in sorted(columns.items())
            if value not in (None, frozenset(), {})
        }

    def _atom(self, column: Column, names: Mapping[NamedUuid, str], atom: Any) -> Any:
        if isinstance(atom, NamedUuid):
            return names.get(atom, str(atom))
        if isinstance(atom, Uuid):
            for base in (column.key, column.value):
                if base and base.ref_table and self.actual.get(base.ref_table, atom):
                    return self.actual.title(base.ref_table, atom)
            return str(atom)
        return atom


def _plain(value: Any, atom: Callable[[Any], Any]) -> Any:
    if isinstance(value, frozenset):
        return sorted((atom(item) for item in value), key=str)
    if isinstance(value, dict):
        return {str(atom(key)): atom(item) for key, item in sorted(value.items())}
    return atom(value)


def plan(
    desired: Iterable[Row],
    actual: Database,
    *,
    owners: Owners = (),
    absent: Iterable[Key] = (),
    owner: str = "",
    unchanged: Iterable[tuple[str, str, str]] = (),
) -> Plan:
    """Compare desired rows with the actual ones.

    Args:
        desired: the rows that shall be there, in any order.
        actual: the rows that are there.
        owners: whose rows shall be there only if they are desired: names, or a predicate on names.
        absent: (table, name) of rows that shall not be there; missing ones are fine.
        owner: for whom `absent` speaks; a row of another owner is an error.
        unchanged: (table, name, column) that must still be as in `actual` when the plan is committed, because what is
            desired was derived from them. Rows that are not there need no mention: inserts guard themselves.

    Raises:
        PlanError: see its subclasses; nothing was written.
    """
    changes = _Planner(actual, list(desired)).run(owners, list(absent), owner)
    return Plan(changes, actual, tuple(_grounds(actual, unchanged)))


def _grounds(actual: Database, unchanged: Iterable[tuple[str, str, str]]) -> Iterator[Unchanged]:
    for table, name, column in unchanged:
        row = actual.find(table, name)
        if row:
            spec = actual.schema.tables[table]
            yield Unchanged(spec, row.uuid, spec.columns[column], row.columns[column])


class _Planner:
    def __init__(self, actual: Database, desired: list[Row]) -> None:
        self.actual = actual
        self.desired: dict[Key, Row] = {}
        for row in desired:
            if (row.table, row.name) in self.desired:
                raise InvalidValue(f"{row.table} {row.name!r} is wanted twice")
            self.desired[row.table, row.name] = row
        self.stored: dict[Key, StoredRow] = {}
        self.symbols: dict[Key, NamedUuid] = {}
        self.deleted: dict[str, StoredRow] = {}
        self.updates: list[Update] = []
        self.inserts: dict[Key, dict[str, Any]] = {}
        self.enter: dict[tuple[str, str, str], set[Any]] = {}
        self.leave: dict[tuple[str, str, str], set[Any]] = {}

    def run(self, owners: Owners, absent: list[Key], owner: str) -> tuple[Change, ...]:
        for key, row in self.desired.items():
            found = self.actual.find(*key)
            if found is None:
                self.symbols[key] = NamedUuid(f"row{len(self.symbols)}")
            else:
                self._check_owner(row.owner, found, row.name)
                self.stored[key] = found
        self._mark_deleted(owners, absent, owner)
        self._note_owners()
        for key, row in self.desired.items():
            columns = self._columns(row)
            if key in self.stored:
                self._update(row, self.stored[key], columns)
            else:
                self.inserts[key] = self._inserted(row, columns)
        for row in self.desired.values():
            if row.parent:
                self._hold(row, row.parent)
        self._let_go()
        return tuple(self._changes())

    def _check_owner(self, wanted: str, found: StoredRow, name: str) -> None:
        stored = self.actual.owner_of(found)
        if stored != wanted:
            raise OwnershipConflict(found.table, name, stored, wanted)

    def _note_owners(self) -> None:
        """Write down, in the root row, whose the rows are that cannot carry it, and strike out those that go."""
        schema = self.actual.schema
        bare = {name for name, table in schema.tables.items() if "external_ids" not in table.columns}
        wanted = [row for key, row in self.desired.items() if row.table in bare and row.owner and key in self.symbols]
        come = {owner_entry(row.table, row.name): row.owner for row in wanted}
        gone = {
            owner_entry(row.table, self.actual.title(row.table, row.uuid))
            for row in self.deleted.values()
            if row.table in bare and self.actual.owner_of(row)
        }
        root = self.actual.find(schema.root_row, SINGLETON_NAME) if schema.root_row and (come or gone) else None
        if root is None:
            return
        key = (root.table, SINGLETON_NAME)
        row = self.desired.get(key) or Row(*key, owner=root.owner)
        ids = row.columns.get("external_ids", MapPatch())
        if isinstance(ids, MapPatch):
            self.desired[key] = replace(
                row, columns={**row.columns, "external_ids": MapPatch({**ids.set, **come}, ids.remove | gone)}
            )
            self.stored[key] = root

    def _mark_deleted(self, owners: Owners, absent: list[Key], owner: str) -> None:
        for table, name in absent:
            if (table, name) in self.desired:
                raise InvalidValue(f"{table} {name!r} is wanted and unwanted at the same time")
            row = self.actual.find(table, name)
            if row:
                self._check_owner(owner, row, name)
                self.deleted[row.uuid] = row
        wanted = {row.uuid for row in self.stored.values()}
        names = [name for name in self.actual.owners() if owners(name)] if callable(owners) else owners
        for name in names:
            for row in [*self.actual.owned(name), *self.actual.noted(name)]:
                if row.uuid not in wanted:
                    self.deleted[row.uuid] = row

    def _columns(self, row: Row) -> dict[str, Any]:
        """The managed columns, owner and id included, with references resolved and values checked."""
        table = self.actual.schema.tables[row.table]
        columns = dict(row.columns)
        marks, naming = ({OWNER_KEY: row.owner} if row.owner else {}), naming_column(table)
        stored = self.stored.get((row.table, row.name))
        by_uuid = stored is not None and stored.uuid == row.name
        if naming and not (table.singleton or row.nameless or by_uuid):
            columns.setdefault(naming, row.name)
        elif not (naming or table.singleton or row.nameless or by_uuid or table.text_index):
            marks[ID_KEY] = row.name
        if marks and "external_ids" in table.columns:
            ids = columns.get("external_ids", MapPatch())
            if isinstance(ids, MapPatch):
                columns["external_ids"] = MapPatch({**ids.set, **marks}, ids.remove)
            else:
                columns["external_ids"] = {**ids, **marks}
        resolved = {}
        for name, value in columns.items():
            column = table.columns.get(name)
            if column is None:
                raise InvalidValue(
                    f"{row.table} {row.name!r}: this database "
                    f"(schema {self.actual.schema.version}) has no column {name}"
                )
            try:
                resolved[name] = self._resolve(row, column, value)
            except InvalidValue as error:
                raise InvalidValue(f"{row.table} {row.name!r}: {error}") from None
        return resolved

    def _resolve(self, row: Row, column: Column, value: Any) -> Any:
        if isinstance(value, MapPatch):
            return MapPatch(normalise(column, value.set), value.remove)
        if isinstance(value, SetPatch):
            parts = (members(column, self._members(row, part)) for part in (value.add, value.remove))
            return SetPatch(*parts)
        if isinstance(value, Ref):
            return normalise(column, self._reference(row, value))
        if column.is_map and isinstance(value, Mapping):
            return normalise(
                column, {k: self._reference(row, v) if isinstance(v, Ref) else v for k, v in value.items()}
            )
        if column.key.kind == "uuid" and isinstance(value, Iterable) and not isinstance(value, str):
            return normalise(column, self._members(row, value))
        return normalise(column, value)

    def _members(self, row: Row, value: Iterable[Any]) -> frozenset[Any]:
        return frozenset(self._reference(row, item) if isinstance(item, Ref) else item for item in value)

    def _reference(self, row: Row, ref: Ref) -> Uuid | NamedUuid:
        key = (ref.table, ref.name)
        if key in self.symbols:
            return self.symbols[key]
        found = self.stored.get(key) or self.actual.find(*key)
        if found is None or found.uuid in self.deleted:
            raise MissingReference(
                f"{row.table} {row.name!r} refers to {ref.table} {ref.name!r}, which does not exist; create it first"
            )
        return found.uuid

    def _inserted(self, row: Row, columns: Mapping[str, Any]) -> dict[str, Any]:
        table = self.actual.schema.tables[row.table]
        if table.singleton and table.root:
            raise MissingReference(f"{row.table}: the database has no such row yet; is its daemon initialised?")
        needs_holder = row.parent is None and not table.root and row.table in self.actual.schema.referrers
        symbol = self.symbols[row.table, row.name]
        if needs_holder and not any(symbol in _atoms(value) for value in self._pending_values()):
            raise MissingReference(f"{row.table} {row.name!r}: no row would hold it; give its parent")
        values: dict[str, Any] = {}
        for name, value in columns.items():
            nothing = empty(table.columns[name])
            initial = _patched(nothing, value)
            if initial != nothing:
                values[name] = initial
        return values

    def _pending_values(self) -> Iterator[Any]:
        """Everything that desired rows put into their reference columns."""
        for row in self.desired.values():
            table = self.actual.schema.tables[row.table]
            for name, value in row.columns.items():
                column = table.columns.get(name)
                if column and column.key.kind == "uuid":
                    yield self._resolve(row, column, value)

    def _update(self, row: Row, stored: StoredRow, columns: Mapping[str, Any]) -> None:
        table = self.actual.schema.tables[row.table]
        changed = {}
        for name, value in columns.items():
            column = table.columns[name]
            old = stored.columns.get(name, empty(column))
            new = _patched(old, value)
            if name == "external_ids" and ID_KEY in old:
                new = {ID_KEY: old[ID_KEY], **new}  # by which others know the row
            if new != old:
                if not column.mutable:
                    raise InvalidValue(
                        f"{row.table} {row.name!r}: column {name} cannot be changed from {old!r} once the row exists; "
                        "delete the row first"
                    )
                changed[name] = (old, new)
        if changed:
            self.updates.append(Update(table, row.name, stored.uuid, changed))

    def _hold(self, row: Row, parent: Parent) -> None:
        """See that the parent holds the row, and that no other row of the parent's kind does."""
        key = (row.table, row.name)
        child: Any = self.symbols.get(key) or self.stored[key].uuid
        parent_key = (parent.table, parent.name)
        if parent_key in self.inserts:
            columns = self.inserts[parent_key]
            columns[parent.column] = frozenset(columns.get(parent.column, frozenset())) | {child}
            held_by = None
        else:
            holder = self.stored.get(parent_key) or self.actual.find(*parent_key)
            if holder is None or holder.uuid in self.deleted:
                raise MissingReference(
                    f"{row.table} {row.name!r} belongs into {parent.table} {parent.name!r}, which does not exist; "
                    "create it first"
                )
            held_by = holder.uuid
            if child not in holder.columns.get(parent.column, frozenset()):
                self.enter.setdefault((parent.table, holder.uuid, parent.column), set()).add(child)
            elif key in self.stored:
                return
        if key in self.stored:
            for holder, column in self.actual.holders(row.table, child):
                if holder.table == parent.table and holder.uuid != held_by:
                    self.leave.setdefault((holder.table, holder.uuid, column), set()).add(child)

    def _let_go(self) -> None:
        """Deleted rows leave the rows that hold them, unless those are deleted too or give them up anyway.

        A row that goes by leaving others is still there when the server looks whether somebody holds a deleted one.
        """
        given_up = {(update.uuid, name): new for update in self.updates for name, (_old, new) in update.columns.items()}
        for row in self.deleted.values():
            for holder, column in self.actual.holders(row.table, row.uuid):
                becomes = given_up.get((holder.uuid, column), (row.uuid,))
                stays = holder.uuid not in self.deleted or (
                    self.actual.schema.tables[row.table].root and not self.actual.schema.tables[holder.table].root
                )
                if stays and row.uuid in _atoms(becomes):
                    self._check_use(row, holder, column)
                    self.leave.setdefault((holder.table, holder.uuid, column), set()).add(row.uuid)

    def _check_use(self, row: StoredRow, holder: StoredRow, column: str) -> None:
        """A row that stands by itself, and that somebody else has use for, stays."""
        owner, user = self.actual.owner_of(row), self.actual.owner_of(holder)
        if self.actual.schema.tables[row.table].root and owner != user:
            name, holds = self.actual.title(row.table, row.uuid), self.actual.title(holder.table, holder.uuid)
            raise InvalidValue(
                f"{row.table} {name!r} cannot go: {holder.table} {holds!r}, which belongs to {user or 'nobody'!r}, "
                f"refers to it (column {column}); remove it there first"
            )

    def _changes(self) -> Iterator[Change]:
        schema = self.actual.schema
        for key, columns in self.inserts.items():
            yield Insert(schema.tables[key[0]], key[1], self.symbols[key], columns, self.desired[key].nameless)
        yield from self.updates
        for table, uuid, column in sorted({*self.enter, *self.leave}):
            holder = self.actual.get(table, uuid)
            if holder is None:
                continue
            place = (table, uuid, column)
            enter, leave = frozenset(self.enter.get(place, ())), frozenset(self.leave.get(place, ()))
            spec = schema.tables[table]
            yield Hold(spec, self.actual.title(table, uuid), holder.uuid, spec.columns[column], enter, leave)
        for row in self.deleted.values():
            yield Delete(schema.tables[row.table], self.actual.title(row.table, row.uuid), row.uuid, row.columns)


def _patched(old: Any, value: Any) -> Any:
    """What a column becomes: a whole value replaces, a patch changes a part."""
    if isinstance(value, MapPatch):
        return {k: v for k, v in {**old, **value.set}.items() if k not in value.remove}
    if isinstance(value, SetPatch):
        return (old | value.add) - value.remove
    return value


def _as_set(value: Any) -> frozenset[Any]:
    if isinstance(value, frozenset):
        return value
    return frozenset() if value is None else frozenset([value])


def _atoms(value: Any) -> Collection[Any]:
    if isinstance(value, SetPatch):
        return value.add
    if isinstance(value, (frozenset, tuple, list)):
        return value
    if isinstance(value, dict):
        return list(value.values())
    return (value,)
