# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""The modules over a database are alike: documented options are the real ones, and each is in its action group."""

from __future__ import annotations

import ast
import importlib
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[4]
PACKAGE = "ansible_collections.ovn_k8s.cluster.plugins.modules"
ALONE = {"ovn_cluster", "ovs_uplink"}
"""Modules that reach no database by a remote, so the options for connections are not theirs."""
MODULES = sorted(path for path in (ROOT / "plugins/modules").glob("ov[ns]_*.py") if path.stem not in ALONE)


def assignments(path: Path) -> dict[str, Any]:
    """The string constants that a file assigns at its top, or in its first class."""
    tree = ast.parse(path.read_text())
    fragments = (n.body for n in tree.body if isinstance(n, ast.ClassDef) and n.name == "ModuleDocFragment")
    body = next(fragments, tree.body)
    return {
        node.targets[0].id: node.value.value
        for node in body
        if isinstance(node, ast.Assign)
        and isinstance(node.targets[0], ast.Name)
        and isinstance(node.value, ast.Constant)
    }


def documentation(path: Path) -> dict[str, Any]:
    return yaml.safe_load(assignments(path)["DOCUMENTATION"])


def all_options(document: dict[str, Any]) -> dict[str, Any]:
    """The options of a module, those of its fragments included."""
    options = dict(document["options"])
    for name in document["extends_documentation_fragment"]:
        _, _, file, *variable = name.split(".")
        fragment = importlib.import_module(f"ansible_collections.ovn_k8s.cluster.plugins.doc_fragments.{file}")
        text = getattr(fragment.ModuleDocFragment, variable[0].upper() if variable else "DOCUMENTATION")
        options |= yaml.safe_load(text)["options"]
    return options


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.stem)
def test_membership(path: Path) -> None:
    groups = yaml.safe_load((ROOT / "meta/runtime.yml").read_text())["action_groups"]
    family = path.stem.partition("_")[0]
    assert path.stem in groups[family]
    assert f"ovn_k8s.cluster._attributes.{family}" in documentation(path)["extends_documentation_fragment"]


def test_groups_have_no_other_members() -> None:
    groups = yaml.safe_load((ROOT / "meta/runtime.yml").read_text())["action_groups"]
    assert sorted(name for members in groups.values() for name in members) == [path.stem for path in MODULES]
    assert all(members == sorted(members) for members in groups.values())


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.stem)
def test_documentation_is_complete(path: Path) -> None:
    document, texts = documentation(path), assignments(path)
    assert document["module"] == path.stem
    assert document["version_added"]
    examples = yaml.safe_load(texts["EXAMPLES"])
    assert any(f"ovn_k8s.cluster.{path.stem}" in task for task in examples)
    assert yaml.safe_load(texts["RETURN"])


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.stem)
def test_documented_options_are_the_real_ones(path: Path, argument_spec_of: Any) -> None:
    compare(all_options(documentation(path)), argument_spec_of(path.stem), path.stem)


def test_documented_options_of_the_cluster_module() -> None:
    path = ROOT / "plugins/modules/ovn_cluster.py"
    compare(all_options(documentation(path)), importlib.import_module(f"{PACKAGE}.ovn_cluster").OPTIONS, path.stem)


def compare(documented: dict[str, Any], spec: dict[str, Any], where: str) -> None:
    assert set(documented) == set(spec), where
    for name, option in spec.items():
        document = documented[name]
        for key in ("type", "elements", "required", "default", "choices"):
            assert document.get(key) == option.get(key), f"{where}.{name}: {key}"
        assert ("suboptions" in document) == ("options" in option), f"{where}.{name}"
        if "options" in option:
            compare(document["suboptions"], option["options"], f"{where}.{name}")
