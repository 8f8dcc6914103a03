# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""docs/modules.md names every module and plugin with what its documentation says of it."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[3]
ROW = re.compile(r"^\| `([a-z0-9_]+)` \| (.+) \|$", re.MULTILINE)
LINK = re.compile(r"\b[COVM]\(([^)]*)\)")


def short_description(path: Path) -> str:
    """As plain text."""
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            if node.targets[0].id != "DOCUMENTATION":
                continue
            assert isinstance(node.value, ast.Constant)
            return LINK.sub(r"\1", str(yaml.safe_load(str(node.value.value))["short_description"]))
    raise AssertionError(f"{path} is not documented")


def test_the_index_is_complete_and_true() -> None:
    files = [path for kind in ("modules", "inventory") for path in (ROOT / "plugins" / kind).glob("*.py")]
    rows = ROW.findall((ROOT / "docs/modules.md").read_text())
    assert sorted(rows) == sorted((path.stem, short_description(path)) for path in files)


def test_each_family_is_sorted() -> None:
    for section in (ROOT / "docs/modules.md").read_text().split("\n## "):
        names = [name for name, _ in ROW.findall(section)]
        assert names == sorted(names)
