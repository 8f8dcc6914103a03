# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""Rows that have no name, rows that are named by an index, and rows that cannot carry an owner."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.ovn_k8s.cluster.plugins.module_utils.core.changes import Delete, Hold, Insert, Update
from ansible_collections.ovn_k8s.cluster.plugins.module_utils.core.database import Database
from ansible_collections.ovn_k8s.cluster.plugins.module_utils.core.errors import MissingReference, OwnershipConflict
from ansible_collections.ovn_k8s.cluster.plugins.module_utils.core.plan import plan
from ansible_collections.ovn_k8s.cluster.plugins.module_utils.core.rows import ID_KEY, OWNER_KEY, Parent, Ref, Row
from ansible_collections.ovn_k8s.cluster.plugins.module_utils.core.schema import parse_schema
from ansible_collections.ovn_k8s.cluster.plugins.module_utils.core.values import empty
from ansible_collections.ovn_k8s.cluster.tests.unit.plugins.module_utils.core.sample_schema import (
    DOCUMENT,
    MAP,
    columns,
    refs,
    uuids,
)

TABLES: dict[str, Any] = DOCUMENT["tables"]
EXTENDED = {
    **DOCUMENT,
    "tables": {
        **TABLES,
        "Global": {**TABLES["Global"], "columns": {**TABLES["Global"]["columns"], **columns(external_ids=MAP)}},
        "Binding": {
            "columns": columns(port="string", ip="string", mac="string"),
            "indexes": [["port", "ip"]],
            "isRoot": True,
        },
        "Bundle": {"columns": columns(name="string", members=refs("Port")), "indexes": [["name"]], "isRoot": True},
    },
}
ROUTE = Parent("Switch", "web", "routes")


def database(**tables: dict[str, dict[str, Any]]) -> Database:
    schema = parse_schema(EXTENDED)
    result = Database(schema)
    for table, rows in tables.items():
        for uuid, given in rows.items():
            unset = {name: empty(column) for name, column in schema.tables[table].columns.items()}
            result.put(table, uuid, {**unset, **given})
    return result


def test_a_nameless_row_gets_no_name() -> None:
    actual = database(Switch={"s": {"name": "web"}})
    insert, hold = plan([Row("Route", "web: 10/8", {"prefix": "10/8"}, "me", ROUTE, nameless=True)], actual).changes
    assert isinstance(insert, Insert)
    assert insert.columns == {"prefix": "10/8", "external_ids": {OWNER_KEY: "me"}}
    assert list(insert.guards()) == [], "what keeps it single is said of its holder"
    assert isinstance(hold, Hold)


def test_a_nameless_row_is_found_by_its_further_name() -> None:
    actual = database(Switch={"s": {"name": "web", "routes": uuids("r")}}, Route={"r": {"prefix": "10/8"}})
    actual.call("Route", "r", "web: 10/8")
    wanted = Row("Route", "web: 10/8", {"prefix": "10/8"}, parent=ROUTE, nameless=True)
    assert not plan([wanted], actual)
    (delete, hold) = sorted(plan([], actual, absent=[("Route", "web: 10/8")]).changes, key=lambda c: type(c).__name__)
    assert isinstance(delete, Delete)
    assert isinstance(hold, Hold)
    assert delete.name == "web: 10/8"
    assert plan([], actual, absent=[("Route", "web: 10/8")]).diff()["before"]["Switch web"] == {"routes": ["web: 10/8"]}


def test_a_row_without_name_goes_by_its_uuid() -> None:
    actual = database(Switch={"s": {"name": "web", "routes": uuids("r")}}, Route={"r": {"prefix": "10/8"}})
    (update,) = plan([Row("Route", "r", {"prefix": "11/8"}, parent=ROUTE)], actual).changes
    assert isinstance(update, Update)
    assert set(update.columns) == {"prefix"}, "and gets none by that"
    assert actual.find("Switch", "s") is None


def test_an_exact_map_keeps_the_name() -> None:
    ids = {ID_KEY: "default", "a": "b"}
    actual = database(Switch={"s": {"name": "web", "routes": uuids("r")}}, Route={"r": {"external_ids": ids}})
    actual.call("Route", "r", "web: default")
    wanted = Row("Route", "web: default", {"external_ids": {"c": "d"}}, parent=ROUTE, nameless=True)
    (update,) = plan([wanted], actual).changes
    assert isinstance(update, Update)
    assert update.columns["external_ids"][1] == {ID_KEY: "default", "c": "d"}


def binding(owner: str = "") -> Row:
    return Row("Binding", "p1 192.0.2.1", {"port": "p1", "ip": "192.0.2.1", "mac": "m"}, owner)


def test_a_row_is_named_by_the_strings_that_are_unique() -> None:
    actual = database(Binding={"b": {"port": "p1", "ip": "192.0.2.1", "mac": "m"}})
    assert not plan([binding()], actual)
    assert actual.title("Binding", "b") == "p1 192.0.2.1"
    (insert,) = plan([binding()], database()).changes
    assert insert.columns == {"port": "p1", "ip": "192.0.2.1", "mac": "m"}
    assert list(insert.guards()) == [], "the schema keeps it single"


def test_owners_of_rows_that_cannot_carry_one() -> None:
    key = f"{OWNER_KEY}:Binding:p1 192.0.2.1"
    actual = database(Global={"g": {}})
    note = next(change for change in plan([binding("me")], actual).changes if isinstance(change, Update))
    assert note.columns == {"external_ids": ({}, {key: "me"})}

    row = {"port": "p1", "ip": "192.0.2.1", "mac": "m"}
    actual = database(
        Global={"g": {"external_ids": {key: "me", "other": "x"}}}, Binding={"b": row, "c": {**row, "ip": "2"}}
    )
    assert not plan([binding("me")], actual)
    assert "me" in actual.owners()
    for wanted in ("you", ""):
        with pytest.raises(OwnershipConflict, match=f"belongs to 'me' and is wanted by .*{wanted}"):
            plan([binding(wanted)], actual)
    for what in ({"absent": [("Binding", "p1 192.0.2.1")], "owner": "me"}, {"owners": ["me"]}):
        changes = plan([], actual, **what).changes  # type: ignore[arg-type]
        deletes = [change.name for change in changes if isinstance(change, Delete)]
        (strike,) = (change for change in changes if isinstance(change, Update))
        assert deletes == ["p1 192.0.2.1"]
        assert strike.columns["external_ids"][1] == {"other": "x"}


def test_a_column_that_must_not_be_empty_is_never_empty() -> None:
    """The server checks a set after each mutation."""
    actual = database(
        Port={"p": {"name": "bond", "interfaces": uuids("i1")}},
        Interface={"i1": {"name": "eth1"}},
        Switch={"s": {"name": "web", "ports": uuids("p")}},
    )
    parent = Parent("Port", "bond", "interfaces")
    changes = plan([Row("Interface", "eth2", parent=parent)], actual, absent=[("Interface", "eth1")]).changes
    hold = next(change for change in changes if isinstance(change, Hold))
    (operation,) = hold.operations()
    assert [mutation[1] for mutation in operation["mutations"]] == ["insert", "delete"]


def test_a_reference_to_a_nameless_row_that_is_not_there() -> None:
    with pytest.raises(MissingReference, match="refers to Group 'g', which does not exist"):
        plan([Row("Switch", "web", {"groups": [Ref("Group", "g")]})], database())
