# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""What a kind of object is: its options, the columns they stand for, who holds it and what tells two of it apart."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from ..core.database import Database
from ..core.rows import Row
from .forms import PLAIN, Form

Item = Mapping[str, Any]


@dataclass(frozen=True)
class Option:
    """An option and the column, or the `key` of a map column, that it stands for.

    `text` is its documentation. `refers` names the table whose rows its names mean. `empty` is what the column has when
    the option is cleared. `since` is the release of OVN that brought the column. A `raw` option is the rest of a map
    column: keys and values as they are. A `needed` one must be given to create an object. A `local` one stands for no
    column. One that is `alone` is of the kind's own module, not of the document of `ovn_nb`.
    """

    name: str
    text: str
    type: str = "str"
    column: str = ""
    key: str = ""
    elements: str = ""
    choices: tuple[str, ...] = ()
    form: Form = PLAIN
    refers: str = ""
    empty: Any = None
    since: str = ""
    raw: bool = False
    needed: bool = False
    local: bool = False
    alone: bool = False
    children: Children | None = None

    @property
    def stored_in(self) -> str:
        """The column's name."""
        return self.column or self.name


@dataclass(frozen=True)
class Children:
    """Rows that an option lists one by one as dictionaries, and that live in a column of the object's own row.

    `key` names the options that tell two of them apart. `fresh` gives columns that only a new row is given, from the
    names of the object and the child.
    """

    table: str
    key: tuple[str, ...]
    options: tuple[Option, ...]
    fresh: Callable[[str, Item], dict[str, Any]] = lambda _parent, _child: {}


def told_apart(options: Iterable[Option], key: Iterable[str], item: Item) -> str:
    """The values of key options, without those that are what the column has anyway."""
    anyway = {option.name: (None, "", option.empty) for option in options}
    return " ".join(str(item[name]) for name in key if item.get(name) not in anyway[name])


@dataclass(frozen=True)
class Holder:
    """An option that names the row which holds the object, and where it does."""

    option: str
    table: str
    column: str
    text: str


def _no_complaint(_item: Item) -> str | None:
    return None


def _as_it_is(item: Item) -> Item:
    return item


def _displaces_nothing(_kind: Kind, _item: Item, _actual: Database) -> Iterator[str]:
    return iter(())


def _nothing_noticed(_item: Item, _all: list[dict[str, Any]]) -> Item:
    return {}


def _nothing_more(_kind: Kind, _item: Item, _owner: str, _actual: Database) -> Iterator[Row]:
    return iter(())


@dataclass(frozen=True, eq=False)
class Kind:
    """A kind of object.

    `plural` is the option of its module that lists many, `section` its list in the document of `ovn_nb`. `key` names
    the options that tell two objects apart: the one that is the row's name, those of the table's unique index, or, of a
    `nameless` kind, those that do so among the objects of one holder. `complaint` says what no schema would notice,
    `completed` fills in what follows from other options, `further` gives rows beside the object's own, `displaced`
    names objects that must go for it (two that displace each other `exclude_each_other`), `noticed` gives the
    options that only show beside the other objects. `related` names further tables, and columns, to read;
    `found_by` those key options by which rows are asked for, if not all: such as every row has a value of.
    """

    module: str
    plural: str
    section: str
    table: str
    text: str
    key: tuple[str, ...]
    options: tuple[Option, ...]
    holders: tuple[Holder, ...] = ()
    nameless: bool = False
    complaint: Callable[[Item], str | None] = _no_complaint
    completed: Callable[[Item], Item] = _as_it_is
    further: Callable[[Kind, Item, str, Database], Iterator[Row]] = _nothing_more
    displaced: Callable[[Kind, Item, Database], Iterator[str]] = _displaces_nothing
    exclude_each_other: str = ""
    noticed: Callable[[Item, list[dict[str, Any]]], Item] = _nothing_noticed
    related: Mapping[str, tuple[str, ...]] | None = None
    found_by: tuple[str, ...] = ()

    @cached_property
    def clearable(self) -> tuple[str, ...]:
        """Options that can be emptied."""
        fixed = {*self.key, *(option.name for option in self.options if option.needed or option.local)}
        return tuple(option.name for option in self.options if option.name not in fixed)

    @property
    def maps(self) -> frozenset[str]:
        """Map columns of which every key belongs to some option."""
        return frozenset(option.stored_in for option in self.options if option.raw)

    def title(self, item: Item) -> str:
        """The object's name; of a nameless one, its holder and what tells it apart."""
        words = told_apart(self.options, self.key, item)
        holder = self.holder(item) if self.nameless else None
        return f"{holder.option} {item[holder.option]}: {words}" if holder else words

    def holder(self, item: Item) -> Holder | None:
        """Which of the holders the object names."""
        return next((holder for holder in self.holders if item.get(holder.option)), None)


def external_ids(what: str = "map") -> Option:
    """The option that every kind has whose table has the column."""
    return raw_map("external_ids", f"Keys and values to have in the {what}; a key whose value is null is removed.")


def raw_map(name: str, text: str = "", column: str = "") -> Option:
    """The keys of a map column for which there is no option."""
    return Option(
        name,
        text
        or "Further keys and values to have in the map, for which there is no option. A key whose value is null is "
        "removed, other keys stay. Numbers and booleans are taken as they are written in YAML.",
        type="dict",
        column=column,
        raw=True,
    )


def in_map(column: str, name: str, text: str, key: str = "", type: str = "str", **more: Any) -> Option:
    """An option that is one key of a map column."""
    return Option(name, text, type=type, column=column, key=key or name, **more)


def names_of(name: str, table: str, text: str, column: str = "", **more: Any) -> Option:
    """An option that lists the names of rows."""
    return Option(name, text, type="list", elements="str", column=column, refers=table, **more)
