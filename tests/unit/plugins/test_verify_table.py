# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""The table that people read."""

from __future__ import annotations

import pytest
from ansible_collections.ovn_k8s.cluster.plugins.module_utils.verify.results import Result
from ansible_collections.ovn_k8s.cluster.plugins.module_utils.verify.table import summary, table, time_text

RESULTS = [
    Result("pod starts", "linux1", "linux1 pod 1", "ok", "10.244.1.3", milliseconds=2100),
    Result("routes", "linux1", "k8s-linux1", "failed", "no route", "ip route"),
    Result("pod starts", "linux2", "linux2 pod 1", "ok", "x" * 200, milliseconds=0.84),
    Result("pod to the outside", "pods", "internet", "skipped", "not set"),
]


def test_table() -> None:
    lines = table(RESULTS, 12.3)
    texts = [line.text for line in lines]
    assert texts[0].split() == ["check", "from", "to", "result", "detail", "time"]
    assert texts[2].startswith("pod starts ")
    assert texts[2].endswith("2.1 s")
    assert texts[3].startswith("   ")
    assert "…" in texts[3]
    assert lines[4].kind == "failed"
    assert "FAILED" in texts[4]
    assert "2 of 4 checks are ok, 1 failed, 1 skipped (12 s)" in texts
    assert texts[-2:] == ["routes, linux1 -> k8s-linux1: no route", "    look at: ip route"]
    columns = {text.index("result") for text in texts[:1]}
    assert all(texts[row][next(iter(columns)) - 2 : next(iter(columns))] == "  " for row in (2, 3, 4, 5))


def test_summary_without_failures() -> None:
    assert summary(RESULTS[:1], 3) == "1 of 1 checks are ok (3 s)"


@pytest.mark.parametrize(("given", "expected"), [(None, ""), (0.84, "0.8 ms"), (12.4, "12 ms"), (3400, "3.4 s")])
def test_time(given: float | None, expected: str) -> None:
    assert time_text(given) == expected
