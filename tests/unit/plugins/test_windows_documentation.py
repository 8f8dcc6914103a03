# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""What the modules for Windows machines say that they take is what their actions take."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[3]
MODULES = ("windows_acceptance", "windows_bundle", "windows_check", "windows_host", "windows_openvswitch")


def compare(options: dict[str, Any], spec: dict[str, Any], where: str) -> None:
    assert set(options) == set(spec), where
    for key, option in options.items():
        assert option["description"], f"{where}.{key}"
        for fact in ("type", "elements", "choices", "default"):
            assert option.get(fact) == spec[key].get(fact), f"{where}.{key}: {fact}"
        assert bool(option.get("required")) == bool(spec[key].get("required")), f"{where}.{key}: required"
        compare(option.get("suboptions", {}), spec[key].get("options", {}), f"{where}.{key}")


@pytest.mark.parametrize("name", MODULES)
def test_documentation_and_arguments_agree(name: str) -> None:
    scope: dict[str, Any] = {}
    exec((ROOT / "plugins" / "modules" / f"{name}.py").read_text(), scope)
    action = importlib.import_module(f"ansible_collections.ovn_k8s.cluster.plugins.action.{name}")
    compare(yaml.safe_load(scope["DOCUMENTATION"])["options"], action.SPEC, name)
    yaml.safe_load(scope["RETURN"])
    for example in yaml.safe_load(scope["EXAMPLES"]):
        assert set(example) - {"name", "register"} == {f"ovn_k8s.cluster.{name}"}
