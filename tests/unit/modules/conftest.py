# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "integration"))

from module_runner import PACKAGE, collections_path

sys.path.insert(0, str(collections_path()))


class _Made(Exception):
    """Ends a module when it has said what it takes."""


@pytest.fixture
def argument_spec_of(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], dict[str, Any]]:
    """The argument specification with which a module makes its AnsibleModule."""
    from ansible_collections.ovn_k8s.cluster.plugins.module_utils import database_module  # noqa: PLC0415

    def spec_of(name: str) -> dict[str, Any]:
        taken: list[dict[str, Any]] = []

        def make(argument_spec: dict[str, Any], **_rules: Any) -> None:
            taken.append(argument_spec)
            raise _Made

        monkeypatch.setattr(database_module, "AnsibleModule", make)
        with pytest.raises(_Made):
            importlib.import_module(f"{PACKAGE}.{name}").main()
        return taken[0]

    return spec_of
