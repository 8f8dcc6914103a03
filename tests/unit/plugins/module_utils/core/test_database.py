# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
from __future__ import annotations

import pytest
from ansible_collections.ovn_k8s.cluster.plugins.module_utils.core.content import described, name_columns
from ansible_collections.ovn_k8s.cluster.plugins.module_utils.core.database import Database
from ansible_collections.ovn_k8s.cluster.plugins.module_utils.core.errors import DuplicateRow, InvalidValue
from ansible_collections.ovn_k8s.cluster.plugins.module_utils.core.rows import ID_KEY, OWNER_KEY
from ansible_collections.ovn_k8s.cluster.plugins.module_utils.core.values import Uuid
from ansible_collections.ovn_k8s.cluster.tests.unit.plugins.module_utils.core.sample_schema import (
    database,
    schema,
    uuids,
)


def test_rows_are_found_by_name_by_id_and_alone() -> None:
    db = database(
        Switch={"s1": {"name": "web"}},
        Route={"r1": {"external_ids": {ID_KEY: "node/a"}}, "r2": {}},
        Global={"g": {}},
    )
    assert db.find("Switch", "web").uuid == "s1"
    assert db.find("Route", "node/a").uuid == "r1"
    assert db.find("Global", ".").uuid == "g"
    assert db.find("Switch", "s1") is None
    assert db.find("Route", "") is None
    assert db.get("Switch", "s1").columns["name"] == "web"
    assert db.get("Switch", "s9") is None
    assert db.count("Route") == 2
    with pytest.raises(InvalidValue, match=r"database Sample 1.2.3 has no table Nonsense"):
        db.find("Nonsense", "x")


def test_two_rows_of_one_name() -> None:
    db = database(Switch={"s2": {"name": "web"}, "s1": {"name": "web"}})
    with pytest.raises(DuplicateRow, match=r"Switch 'web': 2 rows carry this name \(s1, s2\); remove or rename"):
        db.find("Switch", "web")
    db.remove("Switch", "s1")
    assert db.find("Switch", "web").uuid == "s2"


def test_a_row_that_changes_is_found_by_what_it_is_now() -> None:
    db = Database(schema())
    db.put("Switch", "s1", {"name": "a", "external_ids": {OWNER_KEY: "x"}})
    db.put("Switch", "s1", {"name": "b", "external_ids": {OWNER_KEY: "y"}})
    assert db.find("Switch", "a") is None
    assert db.find("Switch", "b").owner == "y"
    assert list(db.owners()) == ["y"]
    assert list(db.owned("x")) == []
    db.remove("Switch", "s1")
    db.remove("Switch", "s1")
    assert db.find("Switch", "b") is None
    assert list(db.owners()) == []
    assert list(db.rows("Switch")) == []


def test_holders() -> None:
    db = database(
        Switch={"s1": {"ports": uuids("p1", "p2")}, "s2": {"groups": uuids("g1")}},
        Queue={"q1": {"slots": {1: Uuid("g1")}}},
        Global={"g": {"ssl": Uuid("ssl1")}},
    )

    def holders(table: str, uuid: str) -> list[tuple[str, str]]:
        return [(row.uuid, column) for row, column in db.holders(table, uuid)]

    assert holders("Port", "p2") == [("s1", "ports")]
    assert holders("Port", "p9") == []
    assert holders("Group", "g1") == [("q1", "slots")]  # s2 refers weakly
    assert holders("SSL", "ssl1") == [("g", "ssl")]


def test_content_for_people() -> None:
    db = database(
        Switch={
            "s1": {"name": "web", "ports": uuids("p2", "p1", "p9"), "external_ids": {OWNER_KEY: "shop"}},
            "s2": {"name": "aside"},
        },
        Port={"p1": {"name": "one"}, "p2": {"name": "two"}},
        Queue={"q1": {"slots": {1: Uuid("g1")}}},
        Group={"g1": {"name": "group"}},
    )
    aside, web = described(db, "Switch")
    assert (aside["name"], aside["count"], aside["words"]) == ("aside", None, [])
    assert web["_uuid"] == "s1"
    assert web["ports"] == ["one", "p9", "two"]
    assert described(db, "Switch", "shop") == [web]
    assert described(db, "Queue")[0]["slots"] == {"1": "group"}
    assert name_columns(db.schema, ["Switch"]) == {
        "Port": ["external_ids", "name"],
        "Route": ["external_ids"],
        "Group": ["external_ids", "name"],
    }
