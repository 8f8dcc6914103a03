# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""A role's defaults and its documented arguments are the same."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

ROLES = Path(__file__).resolve().parents[3] / "roles"
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
