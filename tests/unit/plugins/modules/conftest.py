# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

import pytest
from ansible_collections.ovn_k8s.cluster.plugins.module_utils import database_module


class _Made(Exception):
    """Ends a module when it has said what it takes."""


@pytest.fixture
def argument_spec_of(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], dict[str, Any]]:
    """The argument specification with which a module makes its AnsibleModule."""

    def spec_of(name: str) -> dict[str, Any]:
        taken: list[dict[str, Any]] = []

        def make(argument_spec: dict[str, Any], **_rules: Any) -> None:
            taken.append(argument_spec)
            raise _Made

        monkeypatch.setattr(database_module, "AnsibleModule", make)
        with pytest.raises(_Made):
            importlib.import_module(f"ansible_collections.ovn_k8s.cluster.plugins.modules.{name}").main()
        return taken[0]

    return spec_of
