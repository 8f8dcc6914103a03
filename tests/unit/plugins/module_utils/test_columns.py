# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.ovn_k8s.cluster.plugins.module_utils.columns import from_options, map_patch, map_text
from ansible_collections.ovn_k8s.cluster.plugins.module_utils.core.errors import InvalidValue
from ansible_collections.ovn_k8s.cluster.plugins.module_utils.core.rows import MapPatch


@pytest.mark.parametrize(
    ("value", "text"),
    [("a=b", "a=b"), ("", ""), (1400, "1400"), (0, "0"), (1.5, "1.5"), (True, "true"), (False, "false")],
)
def test_values_of_maps(value: Any, text: str) -> None:
    assert map_text("key", value) == text


@pytest.mark.parametrize("value", [[1], {"a": 1}, ()])
def test_values_that_no_map_takes(value: Any) -> None:
    with pytest.raises(InvalidValue, match=r"key 'key': .*neither a string nor a number nor true or false"):
        map_text("key", value)


def test_null_removes_a_key() -> None:
    assert map_patch({"a": 1, "b": None, 3: "c"}) == MapPatch({"a": "1", "3": "c"}, frozenset({"b"}))


def test_what_is_left_out_is_not_managed() -> None:
    assert from_options({"tag": None, "ids": None}, ["tag", "mode"], ["ids", "config"]) == {}
    assert from_options({"ids": {}}, [], ["ids"]) == {}


def test_falsy_values_are_values() -> None:
    params = {"tag": 0, "enabled": False, "trunks": [], "type": ""}
    assert from_options(params, list(params)) == params


def test_clear_empties_and_makes_maps_exact() -> None:
    params = {"tag": None, "mode": "access", "ids": {"a": 1, "b": None}, "config": None}
    columns = from_options(params, ["tag", "mode"], ["ids", "config"], ["tag", "mode", "ids", "config"])
    assert columns == {"tag": None, "mode": "access", "ids": {"a": "1"}, "config": {}}
