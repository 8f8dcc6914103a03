# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""Module options as columns of a desired row: what is left out stays as it is, `clear` empties, maps are merged."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from .core.errors import InvalidValue
from .core.rows import MapPatch


def map_text(key: str, value: Any) -> str:
    """A map's value as the database keeps it: 1400 is "1400", true is "true".

    Raises:
        InvalidValue: a list or a dict, which have no such form.
    """
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (str, int, float)):
        return str(value)
    raise InvalidValue(f"key {key!r}: {value!r} is neither a string nor a number nor true or false")


def map_patch(option: Mapping[str, Any]) -> MapPatch:
    """Keys to set, and keys to remove (those whose value is null)."""
    return MapPatch(
        {str(key): map_text(str(key), value) for key, value in option.items() if value is not None},
        frozenset(str(key) for key, value in option.items() if value is None),
    )


def from_options(
    params: Mapping[str, Any],
    plain: Iterable[str],
    maps: Iterable[str] = (),
    clear: Collection[str] = (),
    defaults: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """The columns that an object's options manage.

    Args:
        params: the options, None for those that were not given.
        plain: options that carry the name of their scalar, optional or set column.
        maps: options that carry the name of their map column.
        clear: columns to empty. A map that is cleared and given as well becomes exactly what is given.
        defaults: what columns that cannot be empty have in a new row.
    """
    columns: dict[str, Any] = {}
    for name in plain:
        if params.get(name) is not None:
            columns[name] = params[name]
        elif name in clear:
            columns[name] = (defaults or {}).get(name)
    for name in maps:
        patch = map_patch(params.get(name) or {})
        if name in clear:
            columns[name] = dict(patch.set)
        elif patch.set or patch.remove:
            columns[name] = patch
    return columns
