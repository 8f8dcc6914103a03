# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""A plan in words, one line for each row that changes."""

from __future__ import annotations

from collections.abc import Iterator

from ovn_k8s.core.changes import Delete, Hold, Insert, Update
from ovn_k8s.core.plan import Plan


def in_words(plan: Plan) -> Iterator[str]:
    """As `Bridge br-int: fail_mode set`."""
    for change in plan.changes:
        title = f"{change.table.name} {change.name}"
        if isinstance(change, Insert):
            yield f"{title}: created"
        elif isinstance(change, Update):
            yield f"{title}: {', '.join(sorted(change.columns))} set"
        elif isinstance(change, Delete):
            yield f"{title}: removed"
        elif isinstance(change, Hold):
            yield f"{title}: {change.column.name} changed"
