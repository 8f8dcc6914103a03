# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""What can be wrong with a desired state. Each error names the table, the row and the next step."""

from __future__ import annotations


class PlanError(Exception):
    """The desired state cannot be planned against the actual one."""


class InvalidValue(PlanError):
    """A column that the schema does not have, or a value that it does not take."""


class DuplicateRow(PlanError):
    """Several rows carry the name by which one row is meant (OVN does not make names unique)."""

    def __init__(self, table: str, name: str, uuids: list[str]) -> None:
        super().__init__(
            f"{table} {name!r}: {len(uuids)} rows carry this name ({', '.join(sorted(uuids))}); "
            "remove or rename all but one"
        )


class OwnershipConflict(PlanError):
    """A row of this name belongs to somebody else."""

    def __init__(self, table: str, name: str, stored: str, wanted: str) -> None:
        super().__init__(
            f"{table} {name!r} belongs to {stored or 'nobody (no ovn-k8s-owner)'!r} and is wanted by "
            f"{wanted or 'a caller without owner'!r}; choose another name or remove that row first"
        )


class MissingReference(PlanError):
    """A row refers to another that neither exists nor is wanted."""
