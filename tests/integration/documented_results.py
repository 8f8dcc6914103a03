# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""What a module says of its results in RETURN, held against a result."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import yaml

MODULES = Path(__file__).resolve().parents[2] / "plugins/modules"
COMMON = {"changed", "diff", "msg", "failed", "warnings", "deprecations", "exception", "invocation", "ansible_facts"}
"""Ansible's own, which no module documents."""
TYPES: dict[str, tuple[type, ...]] = {
    "str": (str,),
    "int": (int,),
    "float": (float, int),
    "bool": (bool,),
    "list": (list,),
    "dict": (dict,),
    "raw": (object,),
}
WHENEVER = ("always", "success")


@cache
def documented(name: str) -> Mapping[str, Any]:
    """RETURN of a module, by key."""
    tree = ast.parse((MODULES / f"{name}.py").read_text(encoding="utf-8"))
    for node in tree.body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and node.targets[0].id == "RETURN":
            assert isinstance(node.value, ast.Constant)
            return dict(yaml.safe_load(str(node.value.value)) or {})
    raise AssertionError(f"{name} does not say what it returns")


def check_result(name: str, result: Mapping[str, Any]) -> None:
    """That a result of success has what is documented for each success, and nothing that is not documented."""
    told = documented(name)
    found = {key: value for key, value in result.items() if key not in COMMON}
    assert found.keys() <= told.keys(), f"{name} returns {sorted(found.keys() - told.keys())}, not in its RETURN"
    missing = {key for key, item in told.items() if item["returned"] in WHENEVER} - found.keys()
    assert not missing, f"{name} does not return {sorted(missing)}"
    for key, value in found.items():
        item = told[key]
        if value is None:
            assert "null" in str(item["description"]), f"{name}: {key} is null, which its RETURN does not say"
            continue
        assert _is(value, item["type"]), f"{name}: {key} is {value!r}, no {item['type']}"
        if item["type"] == "list" and item.get("elements"):
            assert all(_is(member, item["elements"]) for member in value), f"{name}: {key}: {value!r}"


def _is(value: Any, kind: str) -> bool:
    return isinstance(value, TYPES[kind]) and (kind == "bool" or not isinstance(value, bool) or kind == "raw")
