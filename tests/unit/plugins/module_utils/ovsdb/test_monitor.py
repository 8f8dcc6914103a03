# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
from __future__ import annotations

from typing import Any

from ansible_collections.ovn_k8s.cluster.plugins.module_utils.core.database import Database
from ansible_collections.ovn_k8s.cluster.plugins.module_utils.ovsdb.monitor import (
    Monitor,
    RowChange,
    apply,
    compare,
    initial,
    requests,
)
from ansible_collections.ovn_k8s.cluster.tests.unit.plugins.module_utils.core.sample_schema import (
    database,
    schema,
    uuids,
)

TABLES = {"Switch": Monitor(["name", "words", "options", "count", "ports"])}
START = {
    "Switch": {
        "s1": {"initial": {"name": "web", "words": ["set", ["a", "b"]], "options": ["map", [["k", "1"], ["l", "2"]]]}},
        "s2": {"initial": {"name": "other", "count": 3}},
    }
}


def change(update: dict[str, Any]) -> tuple[Database, list[RowChange]]:
    db = initial(schema(), TABLES, START)
    return db, list(apply(db, TABLES, {"Switch": update}))


def test_the_start() -> None:
    db = initial(schema(), TABLES, START)
    assert db.find("Switch", "web").columns == {
        "name": "web",
        "words": frozenset({"a", "b"}),
        "options": {"k": "1", "l": "2"},
        "count": None,
        "ports": frozenset(),
    }


def test_a_row_comes() -> None:
    db, (event,) = change({"s3": {"insert": {"name": "new", "ports": ["uuid", "p1"]}}})
    assert (event.old, event.new["ports"]) == (None, uuids("p1"))
    assert db.find("Switch", "new").uuid == "s3"


def test_a_row_changes() -> None:
    modify = {
        "words": ["set", ["b", "c"]],  # b went, c came
        "options": ["map", [["k", "9"], ["l", "2"], ["m", "3"]]],  # k changed, l went, m came
        "count": 5,
    }
    db, (event,) = change({"s1": {"modify": modify}})
    assert event.old["words"] == frozenset({"a", "b"})
    assert event.new is db.find("Switch", "web").columns
    assert (event.new["words"], event.new["count"]) == (frozenset({"a", "c"}), 5)
    assert event.new["options"] == {"k": "9", "m": "3"}


def test_an_optional_column_is_emptied_and_a_row_renamed() -> None:
    db, _ = change({"s2": {"modify": {"count": ["set", []], "name": "renamed"}}})
    assert db.find("Switch", "renamed").columns["count"] is None
    assert db.find("Switch", "other") is None


def test_a_row_goes() -> None:
    db, (event,) = change({"s1": {"delete": None}})
    assert (event.old["name"], event.new) == ("web", None)
    assert db.find("Switch", "web") is None


def test_what_the_schema_lacks_is_not_asked_for() -> None:
    wanted = {
        "Switch": Monitor(["name", "nonsense"], (["name", "==", "web"],)),
        "Nonsense": Monitor(["name"]),
    }
    assert requests(schema(), wanted) == {"Switch": [{"columns": ["name"], "where": [["name", "==", "web"]]}]}


def test_the_difference_of_two_states() -> None:
    before = database(Switch={"s1": {"name": "gone"}, "s2": {"name": "same"}, "s3": {"name": "changed"}})
    after = database(Switch={"s2": {"name": "same"}, "s3": {"name": "changed", "count": 1}, "s4": {"name": "new"}})
    events = {event.uuid: (event.old is None, event.new is None) for event in compare(before, after, TABLES)}
    assert events == {"s1": (False, True), "s3": (False, False), "s4": (True, False)}
    assert list(compare(after, after, TABLES)) == []
