# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""The outcome of one check, as it travels from the machines to the report."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

OK = "ok"
FAILED = "failed"
SKIPPED = "skipped"


@dataclass(frozen=True)
class Result:
    """One line of the report.

    check: what was checked, the same words for all lines of one kind; source, target: between whom;
    status: ok | failed | skipped; detail: what was seen; hint: where to look when it failed;
    milliseconds: how long the answer took, None where that says nothing.
    """

    check: str
    source: str
    target: str
    status: str
    detail: str = ""
    hint: str = ""
    milliseconds: float | None = None

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


def failures(results: Iterable[Result]) -> list[Result]:
    """Those that make the verification fail."""
    return [result for result in results if result.status == FAILED]
