# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""A role's defaults, its documented arguments and the table in its README are the same."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

ROLES = Path(__file__).resolve().parents[3] / "roles"
TABLE_ROW = re.compile(r"^\| `(\w+)` \| (\w+) \| `(.*)` \| .+ \|$", re.MULTILINE)
WITH_SPECS = sorted(path.parents[1].name for path in ROLES.glob("*/meta/argument_specs.yml"))


@pytest.mark.parametrize("role", WITH_SPECS)
def test_defaults_equal_argument_specs(role: str) -> None:
    specs = yaml.safe_load((ROLES / role / "meta/argument_specs.yml").read_text(encoding="utf-8"))["argument_specs"]
    documented = {
        name: option["default"] for name, option in (specs["main"].get("options") or {}).items() if "default" in option
    }
    file = ROLES / role / "defaults/main.yml"
    defaults = (yaml.safe_load(file.read_text(encoding="utf-8")) or {}) if file.exists() else {}
    assert documented == defaults


@pytest.mark.parametrize("role", sorted(path.name for path in ROLES.iterdir() if path.is_dir()))
def test_every_role_is_documented(role: str) -> None:
    assert (ROLES / role / "README.md").exists()
    assert (ROLES / role / "meta/argument_specs.yml").exists()


@pytest.mark.parametrize("role", WITH_SPECS)
def test_the_readme_s_table_equals_argument_specs(role: str) -> None:
    readme = (ROLES / role / "README.md").read_text(encoding="utf-8")
    specs = yaml.safe_load((ROLES / role / "meta/argument_specs.yml").read_text(encoding="utf-8"))["argument_specs"]
    table = {name: (kind, default.replace("\\|", "|")) for name, kind, default in TABLE_ROW.findall(readme)}
    if not table:
        assert "meta/argument_specs.yml" in readme or not specs["main"].get("options")
        return
    assert table == {
        name: (option["type"], _as_written(option["default"])) for name, option in specs["main"]["options"].items()
    }


def _as_written(default: object) -> str:
    if default == "":
        return '""'
    return str(default).lower() if isinstance(default, bool) else str(default)
