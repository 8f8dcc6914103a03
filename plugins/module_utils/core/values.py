# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""Column values between Python and the OVSDB wire notation (RFC 7047, section 5.1).

In Python a scalar is a str, int, float or bool; an optional column is a scalar or None; a set is a frozenset;
a map is a dict. A row's identity is a `Uuid`; a row that is inserted in the same transaction is a `NamedUuid`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from .errors import InvalidValue
from .schema import BaseType, Column


class Uuid(str):
    """The UUID of a stored row, in its canonical text form."""

    __slots__ = ()


class NamedUuid(str):
    """The name of a row that the same transaction inserts."""

    __slots__ = ()


def _atom_from_wire(base: BaseType, atom: Any) -> Any:
    if base.kind == "uuid":
        return Uuid(atom[1])
    return atom


def from_wire(column: Column, wire: Any) -> Any:
    """The Python value of what the server sent for `column`."""
    if column.value is not None:
        if column.key.kind == column.value.kind == "string":
            return dict(wire[1])
        return {_atom_from_wire(column.key, k): _atom_from_wire(column.value, v) for k, v in wire[1]}
    if column.min == column.max == 1:
        return _atom_from_wire(column.key, wire)
    if isinstance(wire, list) and wire and wire[0] == "set":
        atoms = [_atom_from_wire(column.key, atom) for atom in wire[1]]
    else:  # a set of one element may be sent as the bare element
        atoms = [_atom_from_wire(column.key, wire)]
    if column.max == 1:
        return atoms[0] if atoms else None
    return frozenset(atoms)


def empty(column: Column) -> Any:
    """The value that a column has in a row which was inserted without it."""
    if column.is_map:
        return {}
    if column.is_set:
        return frozenset()
    if column.is_optional:
        return None
    return {"integer": 0, "real": 0.0, "boolean": False, "string": ""}.get(column.key.kind, "")


def _atom_to_wire(base: BaseType, atom: Any) -> Any:
    if isinstance(atom, NamedUuid):
        return ["named-uuid", str(atom)]
    if base.kind == "uuid":
        return ["uuid", str(atom)]
    return atom


def to_wire(column: Column, value: Any) -> Any:
    """The wire notation of a value that `normalise` has accepted."""
    if column.value is not None:
        return ["map", [[_atom_to_wire(column.key, k), _atom_to_wire(column.value, v)] for k, v in value.items()]]
    if column.is_set:
        return ["set", [_atom_to_wire(column.key, atom) for atom in sorted(value, key=str)]]
    if value is None:
        return ["set", []]
    return _atom_to_wire(column.key, value)


def members_to_wire(column: Column, atoms: Iterable[Any]) -> Any:
    """The wire notation of members that enter or leave a set or optional column."""
    return ["set", [_atom_to_wire(column.key, atom) for atom in sorted(atoms, key=str)]]


def keys_to_wire(column: Column, keys: Iterable[Any]) -> Any:
    """The wire notation of a set of keys of a map column."""
    return ["set", [_atom_to_wire(column.key, key) for key in keys]]


def _check_atom(column: Column, base: BaseType, atom: Any) -> Any:
    kind = base.kind
    if kind == "string":
        if not isinstance(atom, str):
            raise InvalidValue(f"column {column.name}: {atom!r} is not a string")
        if not base.min_length <= len(atom) <= base.max_length:
            raise InvalidValue(
                f"column {column.name}: {atom!r} must have {base.min_length} to {base.max_length} characters"
            )
    elif kind == "boolean":
        if not isinstance(atom, bool):
            raise InvalidValue(f"column {column.name}: {atom!r} is not true or false")
    elif kind in ("integer", "real"):
        allowed = int if kind == "integer" else (int, float)
        if isinstance(atom, bool) or not isinstance(atom, allowed):
            raise InvalidValue(f"column {column.name}: {atom!r} is not of type {kind}")
        if (base.minimum is not None and atom < base.minimum) or (base.maximum is not None and atom > base.maximum):
            low = "any" if base.minimum is None else base.minimum
            high = "any" if base.maximum is None else base.maximum
            raise InvalidValue(f"column {column.name}: {atom!r} is outside {low} to {high}")
    elif not isinstance(atom, (Uuid, NamedUuid)):
        raise InvalidValue(f"column {column.name}: {atom!r} does not name a row")
    if base.enum is not None and atom not in base.enum:
        raise InvalidValue(f"column {column.name}: {atom!r} is none of {', '.join(map(str, sorted(base.enum)))}")
    return atom


def normalise(column: Column, value: Any) -> Any:
    """Check a desired value against the column's type and bring it into the form that stored values have.

    Lists, tuples and sets are taken for set columns, a single value for a set of one, None for an empty one.

    Raises:
        InvalidValue: the value does not fit; the message names the column and what it takes.
    """
    if column.value is not None:
        if not isinstance(value, Mapping):
            raise InvalidValue(f"column {column.name}: {value!r} is not a map")
        return {_check_atom(column, column.key, k): _check_atom(column, column.value, v) for k, v in value.items()}
    if not column.is_set:
        if value is None and column.is_optional:
            return None
        return _check_atom(column, column.key, value)
    atoms = members(column, value)
    if not column.min <= len(atoms) <= column.max:
        raise InvalidValue(f"column {column.name}: takes {column.min} to {column.max} values, not {len(atoms)}")
    return atoms


def members(column: Column, value: Any) -> frozenset[Any]:
    """Check the members of a set column, however many they are.

    Raises:
        InvalidValue: one does not fit.
    """
    if isinstance(value, Mapping):
        raise InvalidValue(f"column {column.name}: {value!r} is a map, and the column takes a list")
    if value is None:
        value = ()
    elif isinstance(value, (str, int, float)) or not isinstance(value, Iterable):
        value = (value,)
    return frozenset(_check_atom(column, column.key, atom) for atom in value)
