# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.ovn_k8s.cluster.plugins.module_utils.ovsdb.errors import Stale, TransactionFailed
from ansible_collections.ovn_k8s.cluster.plugins.module_utils.ovsdb.protocol import check_replies, raise_error

WAIT = {"op": "wait", "table": "T"}
INSERT = {"op": "insert", "table": "T"}
TWICE = 'Transaction causes multiple rows in "T" table to have identical values (x) for index on column "name".'


def test_results() -> None:
    assert check_replies([WAIT, INSERT], [{}, {"uuid": ["uuid", "u"]}]) == [{}, {"uuid": ["uuid", "u"]}]
    assert check_replies([INSERT], [{"uuid": 1}, None]) == [{"uuid": 1}]


@pytest.mark.parametrize(
    "replies",
    [
        [{"error": "timed out", "details": "wait"}, None],
        [{}, {}, {"error": "constraint violation", "details": TWICE}],
        [{}, {}, {"error": "referential integrity violation", "details": "cannot delete T row"}],
    ],
)
def test_lost_races(replies: list[Any]) -> None:
    with pytest.raises(Stale):
        check_replies([WAIT, INSERT], replies)


@pytest.mark.parametrize(
    ("replies", "message"),
    [
        ([{}, {"error": "constraint violation", "details": "5 is bad"}], r"violation \(insert on T\): 5 is bad"),
        ([{}, {}, {"error": "constraint violation", "details": "T has 2 rows"}], "^constraint violation: T has 2 rows"),
        ([{}, {"error": "permission error"}], "permission error"),
        ([{}, {}, {"error": "I/O error", "details": "disk full"}], "I/O error: disk full"),
    ],
)
def test_refusals(replies: list[Any], message: str) -> None:
    with pytest.raises(TransactionFailed, match=message) as caught:
        check_replies([WAIT, INSERT], replies)
    assert not isinstance(caught.value, Stale)


@pytest.mark.parametrize("error", [{"error": "unknown database", "details": "no X"}, "unknown database: no X"])
def test_errors_of_calls(error: Any) -> None:
    with pytest.raises(TransactionFailed, match="unknown database: no X"):
        raise_error(error)
