# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""Kubernetes label selectors (meta/v1 LabelSelector)."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

Labels = tuple[tuple[str, str], ...]
"""Labels as sorted pairs: equal and small where many objects carry the same."""

IN, NOT_IN, EXISTS, DOES_NOT_EXIST = "In", "NotIn", "Exists", "DoesNotExist"
_OPERATORS = (IN, NOT_IN, EXISTS, DOES_NOT_EXIST)


class Requirement(NamedTuple):
    """One condition: label, operator, sorted values."""

    key: str
    operator: str
    values: tuple[str, ...] = ()

    def holds(self, labels: Mapping[str, str]) -> bool:
        """Whether labels meet it. An absent label meets NotIn, as in Kubernetes."""
        value = labels.get(self.key)
        if self.operator == IN:
            return value is not None and value in self.values
        if self.operator == NOT_IN:
            return value is None or value not in self.values
        return (value is not None) == (self.operator == EXISTS)


@dataclass(frozen=True, slots=True)
class Selector:
    """Requirements that must all hold, in one order whatever order they were written in; none: everything matches."""

    requirements: tuple[Requirement, ...] = ()

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Whether it selects an object with these labels."""
        return all(requirement.holds(labels) for requirement in self.requirements)

    def __str__(self) -> str:
        return ";".join(f"{key} {operator} {','.join(values)}" for key, operator, values in self.requirements)


EVERYTHING = Selector()


def selector_from_api(document: Mapping[str, Any] | None) -> Selector:
    """Read a LabelSelector; an absent one is read as an empty one.

    Raises:
        ValueError: it has an operator that is not known here. Nothing may be guessed: it decides who is let through.
    """
    document = document or {}
    found = {Requirement(key, IN, (value,)) for key, value in (document.get("matchLabels") or {}).items()}
    for expression in document.get("matchExpressions") or ():
        operator = expression["operator"]
        if operator not in _OPERATORS:
            raise ValueError(f"a selector has the unknown operator {operator!r}")
        values = tuple(sorted(set(expression.get("values") or ()))) if operator in (IN, NOT_IN) else ()
        found.add(Requirement(expression["key"], operator, values))
    return Selector(tuple(sorted(found)))


def labels_from_api(document: Mapping[str, str] | None) -> Labels:
    """Read an object's labels."""
    return _sorted_pairs((document or {}).items())


def _sorted_pairs(pairs: Iterable[tuple[str, str]]) -> Labels:
    return tuple(sorted((sys.intern(key), sys.intern(value)) for key, value in pairs))
