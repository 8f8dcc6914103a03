# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""The report for people: a table, and what to do about failures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from .results import FAILED, OK, SKIPPED, Result

HEADINGS = ("check", "from", "to", "result", "detail", "time")
LONGEST_DETAIL = 78


@dataclass(frozen=True)
class Line:
    """A line of the output. kind: heading | ok | failed | skipped | summary | hint."""

    text: str
    kind: str


def time_text(milliseconds: float | None) -> str:
    """0.8 ms, 12 ms, 3.4 s; empty when it says nothing."""
    if milliseconds is None:
        return ""
    if milliseconds >= 1000:
        return f"{milliseconds / 1000:.1f} s"
    return f"{milliseconds:.1f} ms" if milliseconds < 10 else f"{milliseconds:.0f} ms"


def ordered(results: Sequence[Result]) -> list[Result]:
    """Kinds of checks in the order in which they first appear, the lines of a kind together."""
    kinds = list(dict.fromkeys(result.check for result in results))
    return sorted(results, key=lambda result: kinds.index(result.check))


def summary(results: Sequence[Result], seconds: float) -> str:
    """One sentence."""
    counts = {status: sum(result.status == status for result in results) for status in (OK, FAILED, SKIPPED)}
    parts = [f"{counts[OK]} of {len(results)} checks are ok"]
    if counts[FAILED]:
        parts.append(f"{counts[FAILED]} failed")
    if counts[SKIPPED]:
        parts.append(f"{counts[SKIPPED]} skipped")
    return f"{', '.join(parts)} ({seconds:.0f} s)"


def table(results: Sequence[Result], seconds: float) -> list[Line]:
    """The whole report, line by line."""
    rows = [(HEADINGS, "heading")]
    previous = ""
    for result in ordered(results):
        check = "" if result.check == previous else result.check
        previous = result.check
        detail = result.detail
        if len(detail) > LONGEST_DETAIL:
            detail = detail[: LONGEST_DETAIL - 1] + "…"
        word = "FAILED" if result.status == FAILED else result.status
        rows.append(
            ((check, result.source, result.target, word, detail, time_text(result.milliseconds)), result.status)
        )
    widths = [max(len(row[column]) for row, _kind in rows) for column in range(len(HEADINGS))]
    lines = []
    for row, kind in rows:
        cells = [cell.ljust(width) for cell, width in zip(row[:-1], widths, strict=False)]
        lines.append(Line("  ".join([*cells, row[-1].rjust(widths[-1])]).rstrip(), kind))
    lines.insert(1, Line("  ".join("-" * width for width in widths), "heading"))
    lines += [Line("", "summary"), Line(summary(results, seconds), "summary")]
    for hint, failed in _failures_by_hint(results).items():
        lines.append(Line("", "hint"))
        lines += [Line(f"{item.check}, {item.source} -> {item.target}: {item.detail}", "failed") for item in failed]
        if hint:
            lines.append(Line(f"    look at: {hint}", "hint"))
    return lines


def _failures_by_hint(results: Sequence[Result]) -> dict[str, list[Result]]:
    """What failed, together with what else is explained by looking at the same place."""
    found: dict[str, list[Result]] = {}
    for result in ordered(results):
        if result.status == FAILED:
            found.setdefault(result.hint, []).append(result)
    return found
