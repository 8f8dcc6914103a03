# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""What the modules for Windows hosts say that they take is what their actions take."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[3]
PLUGINS = "ansible_collections.ovn_k8s.cluster.plugins"
MODULES = sorted(path.stem for kind in ("hns", "windows") for path in (ROOT / "plugins/modules").glob(f"{kind}_*.py"))


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
    module = importlib.import_module(f"{PLUGINS}.modules.{name}")
    documented = yaml.safe_load(module.DOCUMENTATION)
    options = dict(documented["options"])
    for fragment in documented.get("extends_documentation_fragment", []):
        file, _, part = fragment.removeprefix("ovn_k8s.cluster.").partition(".")
        shared = importlib.import_module(f"{PLUGINS}.doc_fragments.{file}").ModuleDocFragment
        options |= yaml.safe_load(getattr(shared, part.upper() or "DOCUMENTATION"))["options"]
    action = importlib.import_module(f"{PLUGINS}.action.{name}")
    compare(options, action.ActionModule.spec if name.startswith("hns") else action.SPEC, name)
    yaml.safe_load(module.RETURN)
    for example in yaml.safe_load(module.EXAMPLES):
        assert set(example) - {"name", "register"} == {f"ovn_k8s.cluster.{name}"}
