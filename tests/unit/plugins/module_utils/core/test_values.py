# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.ovn_k8s.cluster.plugins.module_utils.core.errors import InvalidValue
from ansible_collections.ovn_k8s.cluster.plugins.module_utils.core.values import (
    NamedUuid,
    Uuid,
    empty,
    from_wire,
    normalise,
    to_wire,
)
from ansible_collections.ovn_k8s.cluster.tests.unit.plugins.module_utils.core.sample_schema import schema

SWITCH = schema().tables["Switch"].columns
PORT = schema().tables["Port"].columns
SLOTS = schema().tables["Queue"].columns["slots"]


@pytest.mark.parametrize(
    ("column", "wire", "value"),
    [
        ("name", "a", "a"),
        ("enabled", True, True),
        ("weight", 1.5, 1.5),
        ("count", 3, 3),
        ("count", ["set", []], None),
        ("count", ["set", [3]], 3),
        ("words", "one", frozenset({"one"})),
        ("words", ["set", []], frozenset()),
        ("words", ["set", ["b", "a"]], frozenset({"a", "b"})),
        ("words", "set", frozenset({"set"})),
        ("options", ["map", []], {}),
        ("options", ["map", [["a", "b=c"], ["d", ""]]], {"a": "b=c", "d": ""}),
        ("ports", ["uuid", "u1"], frozenset({"u1"})),
        ("ports", ["set", [["uuid", "u1"], ["uuid", "u2"]]], frozenset({"u1", "u2"})),
    ],
)
def test_from_the_wire(column: str, wire: Any, value: Any) -> None:
    assert from_wire(SWITCH[column], wire) == value


def test_identities_keep_their_type() -> None:
    (port,) = from_wire(SWITCH["ports"], ["uuid", "u1"])
    assert isinstance(port, Uuid)
    assert from_wire(SLOTS, ["map", [[1, ["uuid", "g1"]]]]) == {1: Uuid("g1")}


@pytest.mark.parametrize(
    ("column", "value", "wire"),
    [
        ("count", None, ["set", []]),
        ("count", 3, 3),
        ("words", frozenset({"b", "a"}), ["set", ["a", "b"]]),
        ("options", {"a": "b"}, ["map", [["a", "b"]]]),
        (
            "ports",
            frozenset({Uuid("u1"), NamedUuid("row0")}),
            ["set", [["named-uuid", "row0"], ["uuid", "u1"]]],
        ),
    ],
)
def test_to_the_wire(column: str, value: Any, wire: Any) -> None:
    assert to_wire(SWITCH[column], value) == wire


def test_maps_with_other_keys_and_values() -> None:
    assert to_wire(SLOTS, {1: NamedUuid("row0")}) == ["map", [[1, ["named-uuid", "row0"]]]]


@pytest.mark.parametrize("name", SWITCH)
def test_an_empty_column_survives_the_wire(name: str) -> None:
    assert from_wire(SWITCH[name], to_wire(SWITCH[name], empty(SWITCH[name]))) == empty(SWITCH[name])


@pytest.mark.parametrize(
    ("column", "given", "value"),
    [
        ("words", ["a", "a"], frozenset({"a"})),
        ("words", "a", frozenset({"a"})),
        ("words", None, frozenset()),
        ("words", (item for item in "ab"), frozenset({"a", "b"})),
        ("count", None, None),
        ("weight", 2, 2),
        ("mode", "open", "open"),
        ("options", {}, {}),
    ],
)
def test_what_people_write(column: str, given: Any, value: Any) -> None:
    assert normalise(SWITCH[column], given) == value


@pytest.mark.parametrize(
    ("column", "given", "message"),
    [
        ("name", 5, "column name: 5 is not a string"),
        ("name", None, "None is not a string"),
        ("enabled", "yes", "'yes' is not true or false"),
        ("enabled", 1, "1 is not true or false"),
        ("count", "3", "'3' is not of type integer"),
        ("count", True, "True is not of type integer"),
        ("count", 1.0, "1.0 is not of type integer"),
        ("count", 11, "11 is outside 0 to 10"),
        ("weight", "1", "'1' is not of type real"),
        ("mode", "ajar", "'ajar' is none of closed, open"),
        ("words", ["a", 1], "1 is not a string"),
        ("words", {"a": "b"}, "{'a': 'b'} is a map"),
        ("options", ["a"], r"\['a'\] is not a map"),
        ("options", {"a": 1}, "1 is not a string"),
        ("options", None, "None is not a map"),
        ("ports", ["u1"], "'u1' does not name a row"),
    ],
)
def test_what_does_not_fit(column: str, given: Any, message: str) -> None:
    with pytest.raises(InvalidValue, match=message):
        normalise(SWITCH[column], given)


def test_a_set_that_must_not_be_empty() -> None:
    with pytest.raises(InvalidValue, match="column interfaces: takes 1 to"):
        normalise(PORT["interfaces"], [])
