# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""The Python distribution has every package that there is, and no other."""

from __future__ import annotations

import tomllib
from pathlib import Path

TREE = Path(__file__).resolve().parents[2]


def test_pyproject_names_every_package() -> None:
    settings = tomllib.loads((TREE / "pyproject.toml").read_text())["tool"]["setuptools"]
    roots = {name: TREE / folder for name, folder in settings["package-dir"].items()}
    found = {
        ".".join((name, *init.parent.relative_to(root).parts))
        for name, root in roots.items()
        for init in root.rglob("__init__.py")
    }
    assert sorted(settings["packages"]) == sorted(found)
