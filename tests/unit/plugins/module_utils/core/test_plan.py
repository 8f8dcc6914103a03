# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from ansible_collections.ovn_k8s.cluster.plugins.module_utils.core.changes import Delete, Hold, Insert, Update
from ansible_collections.ovn_k8s.cluster.plugins.module_utils.core.database import Database
from ansible_collections.ovn_k8s.cluster.plugins.module_utils.core.errors import (
    DuplicateRow,
    InvalidValue,
    MissingReference,
    OwnershipConflict,
)
from ansible_collections.ovn_k8s.cluster.plugins.module_utils.core.plan import Plan, plan
from ansible_collections.ovn_k8s.cluster.plugins.module_utils.core.rows import (
    ID_KEY,
    OWNER_KEY,
    MapPatch,
    Parent,
    Ref,
    Row,
    SetPatch,
)
from ansible_collections.ovn_k8s.cluster.plugins.module_utils.core.values import Uuid
from ansible_collections.ovn_k8s.cluster.tests.unit.plugins.module_utils.core.sample_schema import database, uuids

OWNED = {OWNER_KEY: "shop"}


def operations(made: Plan, kind: str) -> list[dict[str, Any]]:
    return [operation for operation in made.operations() if operation["op"] == kind]


def switch(name: str = "web", owner: str = "", **columns: Any) -> Row:
    return Row("Switch", name, columns, owner)


def port(name: str, parent: str = "web", owner: str = "", **columns: Any) -> Row:
    columns.setdefault("interfaces", [Ref("Interface", name)])
    return Row("Port", name, columns, owner, Parent("Switch", parent, "ports"))


def stored_port(name: str, **columns: Any) -> dict[str, Any]:
    return {"name": name, "interfaces": uuids(f"i-{name}"), **columns}


# ---- new rows


def test_nothing_wanted_is_an_empty_plan() -> None:
    made = plan([], database(Switch={"s1": {"name": "web"}}))
    assert not made
    assert made.operations() == []
    assert made.diff() == {"before": {}, "after": {}}


def test_a_new_row_carries_name_owner_and_only_what_is_not_empty() -> None:
    made = plan([switch(owner="shop", words=["b", "a"], count=None, options={})], database())
    (insert,) = made.changes
    assert isinstance(insert, Insert)
    assert insert.columns == {"name": "web", "words": frozenset({"a", "b"}), "external_ids": OWNED}
    (guard,) = operations(made, "wait")
    assert (guard["where"], guard["until"], guard["rows"]) == ([["name", "==", "web"]], "==", [])
    assert made.diff() == {
        "before": {},
        "after": {"Switch web": {"name": "web", "words": ["a", "b"], "external_ids": OWNED}},
    }


def test_a_name_that_the_schema_makes_unique_needs_no_guard() -> None:
    assert operations(plan([Row("Group", "g")], database()), "wait") == []


def test_rows_without_a_name_are_known_by_an_id() -> None:
    row = Row("Route", "node/a", {"prefix": "::/0"}, "shop", Parent("Switch", "web", "routes"))
    made = plan([switch(), row], database())
    (insert,) = [o for o in operations(made, "insert") if o["table"] == "Route"]
    assert insert["row"]["external_ids"] == ["map", [[OWNER_KEY, "shop"], [ID_KEY, "node/a"]]]
    guards = [o["where"] for o in operations(made, "wait") if o["table"] == "Route"]
    assert guards == [[["external_ids", "includes", ["map", [[ID_KEY, "node/a"]]]]]]
    db = database(
        Switch={"s1": {"name": "web", "routes": uuids("r1")}},
        Route={"r1": {"prefix": "::/0", "external_ids": {**OWNED, ID_KEY: "node/a"}}},
    )
    assert not plan([switch(), row], db)


def test_rows_refer_to_each_other_in_any_order() -> None:
    made = plan([Row("Interface", "p1"), port("p1"), switch(groups=[Ref("Group", "g")]), Row("Group", "g")], database())
    symbols = {o["table"]: o["uuid-name"] for o in operations(made, "insert")}
    rows = {o["table"]: o["row"] for o in operations(made, "insert")}
    assert rows["Port"]["interfaces"] == ["set", [["named-uuid", symbols["Interface"]]]]
    assert rows["Switch"]["ports"] == ["set", [["named-uuid", symbols["Port"]]]]
    assert rows["Switch"]["groups"] == ["set", [["named-uuid", symbols["Group"]]]]
    assert made.diff()["after"]["Switch web"] == {"name": "web", "ports": ["p1"], "groups": ["g"]}


def test_a_new_row_enters_a_stored_parent() -> None:
    made = plan(
        [port("p2"), Row("Interface", "p2")],
        database(
            Switch={"s1": {"name": "web", "ports": uuids("p1")}},
            Port={"p1": stored_port("p1")},
        ),
    )
    (mutate,) = operations(made, "mutate")
    assert mutate["where"] == [["_uuid", "==", ["uuid", "s1"]]]
    ((column, verb, _),) = mutate["mutations"]
    assert (column, verb) == ("ports", "insert")
    assert made.diff()["before"]["Switch web"] == {"ports": ["p1"]}
    assert made.diff()["after"]["Switch web"] == {"ports": ["p1", "p2"]}


def test_the_one_row_of_a_table_that_another_holds() -> None:
    db = database(Global={"g": {}})
    made = plan([Row("SSL", ".", {"key": "k"}), Row("Global", ".", {"ssl": Ref("SSL", ".")})], db)
    (insert,) = operations(made, "insert")
    assert insert["row"] == {"key": "k"}
    assert {"op": "update", "table": "Global"}.items() <= operations(made, "update")[0].items()
    guard = next(o for o in operations(made, "wait") if o["table"] == "SSL")
    assert (guard["where"], guard["rows"], guard["until"]) == ([], [], "==")


def test_the_one_row_of_a_root_table_is_its_daemons() -> None:
    with pytest.raises(MissingReference, match="Global: the database has no such row yet; is its daemon initialised"):
        plan([Row("Global", ".", {"options": {"a": "b"}})], database())


# ---- changes


def change_of(stored: Mapping[str, Any], **wanted: Any) -> Plan:
    return plan([switch(**wanted)], database(Switch={"s1": {"name": "web", **stored}}))


def test_what_is_as_wanted_stays_and_columns_not_given_are_left_alone() -> None:
    stored = {"words": frozenset({"a", "b"}), "count": 3, "options": {"x": "y"}, "external_ids": {"theirs": "1"}}
    assert not change_of(stored, words=["b", "a"], options={"x": "y"})
    assert not change_of(stored)


def test_scalars_are_written_while_they_are_what_they_were() -> None:
    made = change_of({"count": 3, "mode": "open"}, count=4, mode=None)
    (update,) = operations(made, "update")
    assert update["row"] == {"count": 4, "mode": ["set", []]}
    (guard,) = operations(made, "wait")
    assert guard["rows"] == [{"count": 3, "mode": "open"}]
    assert (guard["columns"], guard["until"]) == (["count", "mode"], "==")
    assert made.diff() == {
        "before": {"Switch web": {"count": 3, "mode": "open"}},
        "after": {"Switch web": {"count": 4}},
    }


def test_sets_change_by_member() -> None:
    made = change_of({"words": frozenset({"a", "b"})}, words=["b", "c"])
    (mutate,) = operations(made, "mutate")
    assert mutate["mutations"] == [["words", "delete", ["set", ["a"]]], ["words", "insert", ["set", ["c"]]]]


def test_a_set_is_emptied() -> None:
    made = change_of({"words": frozenset({"a"})}, words=[])
    assert operations(made, "mutate")[0]["mutations"] == [["words", "delete", ["set", ["a"]]]]


def test_a_part_of_a_set() -> None:
    patch = SetPatch(add=frozenset({"c"}), remove=frozenset({"a", "never-there"}))
    made = change_of({"words": frozenset({"a", "b"})}, words=patch)
    (update,) = made.changes
    assert isinstance(update, Update)
    assert update.columns["words"] == (frozenset({"a", "b"}), frozenset({"b", "c"}))


def test_a_whole_map_loses_its_other_keys() -> None:
    made = change_of({"options": {"a": "1", "b": "2", "c": "3"}}, options={"b": "x", "c": "3", "d": "4"})
    (mutate,) = operations(made, "mutate")
    assert mutate["mutations"] == [
        ["options", "delete", ["set", ["a", "b", "d"]]],
        ["options", "insert", ["map", [["b", "x"], ["d", "4"]]]],
    ]
    assert made.diff()["after"]["Switch web"] == {"options": {"b": "x", "c": "3", "d": "4"}}


def test_a_part_of_a_map_leaves_the_other_keys() -> None:
    made = change_of({"options": {"a": "1", "b": "2"}}, options=MapPatch({"b": "3"}, frozenset({"a", "z"})))
    assert operations(made, "mutate")[0]["mutations"] == [
        ["options", "delete", ["set", ["a", "b"]]],
        ["options", "insert", ["map", [["b", "3"]]]],
    ]
    assert not change_of({"options": {"b": "3", "c": "4"}}, options=MapPatch({"b": "3"}, frozenset({"a"})))


def test_a_set_that_must_not_be_empty_is_written_whole() -> None:
    db = database(
        Switch={"s1": {"name": "web", "ports": uuids("p1")}},
        Port={"p1": stored_port("p1")},
        Interface={"i-p1": {"name": "p1"}},
    )
    made = plan([port("p1", interfaces=[Ref("Interface", "other")]), Row("Interface", "other")], db)
    (update,) = operations(made, "update")
    assert update["row"]["interfaces"][1][0][0] == "named-uuid"
    assert any(o["columns"] == ["interfaces"] for o in operations(made, "wait"))


def test_a_column_that_cannot_change() -> None:
    db = database(
        Switch={"s1": {"name": "web", "ports": uuids("p1")}},
        Port={"p1": stored_port("p1", serial="1")},
        Interface={"i-p1": {"name": "p1"}},
    )
    assert not plan([port("p1", serial="1")], db)
    with pytest.raises(InvalidValue, match="column serial cannot be changed from '1' once the row exists; delete"):
        plan([port("p1", serial="2")], db)


def test_references_in_the_values_of_a_map() -> None:
    row = Row("Queue", "q", {"slots": {1: Ref("Group", "new"), 2: Ref("Group", "old")}})
    made = plan([row, Row("Group", "new")], database(Group={"g1": {"name": "old"}}))
    insert = next(o for o in operations(made, "insert") if o["table"] == "Queue")
    values = dict(insert["row"]["slots"][1])
    assert values[1][0] == "named-uuid"
    assert values[2] == ["uuid", "g1"]


# ---- parents


def network() -> Any:
    return database(
        Switch={
            "s1": {"name": "web", "ports": uuids("p1", "p2"), "external_ids": OWNED},
            "s2": {"name": "other", "external_ids": OWNED},
        },
        Port={
            "p1": stored_port("p1", external_ids=OWNED),
            "p2": stored_port("p2", external_ids={OWNER_KEY: "bank"}),
        },
        Interface={"i-p1": {"name": "p1"}, "i-p2": {"name": "p2"}},
    )


def test_a_row_moves_to_another_parent() -> None:
    made = plan([port("p1", "other", "shop")], network())
    holds = {change.name: change for change in made.changes if isinstance(change, Hold)}
    assert (holds["web"].leave, holds["web"].enter) == (uuids("p1"), frozenset())
    assert (holds["other"].leave, holds["other"].enter) == (frozenset(), uuids("p1"))
    assert made.diff()["after"] == {"Switch web": {"ports": ["p2"]}, "Switch other": {"ports": ["p1"]}}


def test_a_row_moves_to_a_new_parent() -> None:
    made = plan([switch("third", "shop"), port("p1", "third", "shop")], network())
    (insert,) = operations(made, "insert")
    assert insert["row"]["ports"] == ["set", [["uuid", "p1"]]]
    (mutate,) = operations(made, "mutate")
    assert mutate["mutations"] == [["ports", "delete", ["set", [["uuid", "p1"]]]]]


def test_a_parent_that_is_not_there() -> None:
    with pytest.raises(MissingReference, match="Port 'p9' belongs into Switch 'nowhere', which does not exist; create"):
        plan([port("p9", "nowhere"), Row("Interface", "p9")], network())
    with pytest.raises(MissingReference, match="Port 'p1' belongs into Switch 'other', which does not exist"):
        plan([port("p1", "other", "shop")], network(), absent=[("Switch", "other")], owner="shop")


def test_a_row_that_nothing_would_hold() -> None:
    with pytest.raises(MissingReference, match="Interface 'lost': no row would hold it; give its parent"):
        plan([Row("Interface", "lost")], network())


# ---- deletion


def test_rows_of_an_owner_that_are_not_wanted_go() -> None:
    made = plan([switch("web", "shop")], network(), owners=["shop"])
    assert {change.name for change in made.changes if isinstance(change, Delete)} == {"other", "p1"}
    assert [o["where"] for o in operations(made, "delete")] == [[["_uuid", "==", ["uuid", "s2"]]]]  # p1 is no root
    (mutate,) = operations(made, "mutate")
    assert mutate["mutations"] == [["ports", "delete", ["set", [["uuid", "p1"]]]]]
    assert made.diff()["before"]["Port p1"]["name"] == "p1"
    assert "Port p1" not in made.diff()["after"]


def test_owners_by_a_rule() -> None:
    made = plan([], network(), owners=lambda owner: owner.startswith("b"))
    assert [change.name for change in made.changes if isinstance(change, Delete)] == ["p2"]


def test_a_parent_that_goes_is_not_changed_first() -> None:
    made = plan([], network(), owners=["shop"])
    assert operations(made, "mutate") == []
    assert len(operations(made, "delete")) == 2


def test_absent_rows() -> None:
    made = plan([], network(), absent=[("Port", "p1"), ("Port", "never-there")], owner="shop")
    assert [change.name for change in made.changes if isinstance(change, Delete)] == ["p1"]
    with pytest.raises(InvalidValue, match="Switch 'web' is wanted and unwanted"):
        plan([switch("web", "shop")], network(), absent=[("Switch", "web")], owner="shop")


# ---- what is refused


def test_rows_of_other_owners_are_not_touched() -> None:
    message = "Switch 'web' belongs to 'shop' and is wanted by 'bank'; choose another name or remove that row first"
    with pytest.raises(OwnershipConflict, match=message):
        plan([switch("web", "bank")], network())
    with pytest.raises(OwnershipConflict, match="belongs to 'shop' and is wanted by 'a caller without owner'"):
        plan([switch("web")], network())
    with pytest.raises(OwnershipConflict, match=r"belongs to 'nobody .*' and is wanted by 'bank'"):
        plan([switch("free", "bank")], database(Switch={"s1": {"name": "free"}}))
    with pytest.raises(OwnershipConflict, match="Port 'p2' belongs to 'bank' and is wanted by 'shop'"):
        plan([], network(), absent=[("Port", "p2")], owner="shop")


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([switch(), switch()], "Switch 'web' is wanted twice"),
        ([switch(nonsense=1)], r"Switch 'web': this database \(schema 1.2.3\) has no column nonsense"),
        ([Row("Nonsense", "x")], "has no table Nonsense"),
        ([switch(count=11)], "Switch 'web': column count: 11 is outside 0 to 10"),
        ([switch(options=MapPatch({"a": 1}))], "column options: 1 is not a string"),
        ([switch(words=SetPatch(add=frozenset({1})))], "column words: 1 is not a string"),
    ],
)
def test_invalid_rows(rows: list[Row], message: str) -> None:
    with pytest.raises(InvalidValue, match=message):
        plan(rows, database())


def test_references_to_what_is_not_there() -> None:
    with pytest.raises(MissingReference, match="Switch 'web' refers to Group 'g', which does not exist; create it"):
        plan([switch(groups=[Ref("Group", "g")])], database())
    db = database(Group={"g1": {"name": "g"}})
    with pytest.raises(MissingReference, match="refers to Group 'g'"):
        plan([switch(groups=[Ref("Group", "g")])], db, absent=[("Group", "g")])


def test_a_name_that_two_rows_carry() -> None:
    db = database(Switch={"s1": {"name": "web"}, "s2": {"name": "web"}}, Group={"g1": {"name": "g"}})
    with pytest.raises(DuplicateRow):
        plan([switch(count=1)], db)
    with pytest.raises(DuplicateRow):
        plan([], db, absent=[("Switch", "web")])
    assert not plan([Row("Group", "g")], db)  # others' duplicates do not matter


# ---- guards


def test_what_the_wish_was_derived_from_must_still_be_so() -> None:
    grounds = [("Switch", "web", "ports"), ("Switch", "never-there", "ports")]
    made = plan([switch("new", "shop")], network(), unchanged=grounds)
    guard = operations(made, "wait")[0]
    assert guard["where"] == [["_uuid", "==", ["uuid", "s1"]]]
    assert guard["rows"] == [{"ports": ["set", [["uuid", "p1"], ["uuid", "p2"]]]}]
    assert not plan([switch("web", "shop")], network(), unchanged=grounds)


def test_guards_come_first_and_once() -> None:
    wanted = [port("p1", "other", "shop"), switch("web", "shop", count=1, words=["a"]), switch("other", "shop")]
    made = plan(wanted, network(), owners=["shop"])
    kinds = [operation["op"] for operation in made.operations()]
    assert kinds == sorted(kinds, key=lambda kind: kind != "wait")
    guards = [str(guard) for guard in operations(made, "wait")]
    assert len(guards) == len(set(guards))


def test_strict_guards_hold_maps_and_sets_too() -> None:
    made = change_of({"options": {"a": "1"}, "words": frozenset({"x"})}, options={"a": "2"}, words=["y"])
    (loose,) = operations(made, "wait")
    assert loose["columns"] == ["_uuid"]
    (strict,) = [o for o in made.operations(strict=True) if o["op"] == "wait"]
    assert strict["rows"] == [{"options": ["map", [["a", "1"]]], "words": ["set", ["x"]]}]
    assert strict["until"] == "=="


def test_planning_the_planned_state_again_changes_nothing() -> None:
    rows = [switch("web", "shop", groups=[Ref("Group", "g")]), Row("Group", "g", owner="shop"), port("p", owner="shop")]
    rows.append(Row("Interface", "p", owner="shop"))
    assert plan(rows, database(), owners=["shop"])
    after = database(
        Switch={"s": {"name": "web", "groups": uuids("g"), "ports": uuids("p"), "external_ids": OWNED}},
        Group={"g": {"name": "g", "external_ids": OWNED}},
        Port={"p": {"name": "p", "interfaces": frozenset({Uuid("i")}), "external_ids": OWNED}},
        Interface={"i": {"name": "p", "external_ids": OWNED}},
    )
    assert not plan(rows, after, owners=["shop"])


def test_what_somebody_else_refers_to_stays() -> None:
    def rows(user: str) -> Database:
        ids = {OWNER_KEY: user} if user else {}
        return database(
            Group={"g": {"name": "front", "external_ids": {OWNER_KEY: "me"}}},
            Queue={"q": {"name": "fast", "slots": {1: Uuid("g")}, "external_ids": ids}},
        )

    for user in ("you", ""):
        with pytest.raises(
            InvalidValue, match=f"Group 'front' cannot go: Queue 'fast', which belongs to '{user or 'no'}"
        ):
            plan([], rows(user), owners=["me"])
    assert plan([], rows("me"), absent=[("Group", "front"), ("Queue", "fast")], owner="me")
