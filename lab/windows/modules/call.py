# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""One call of a module."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..computer import Computer


class Failed(Exception):
    """The module ends with `failed` and this message."""

    def __init__(self, message: str, **result: Any) -> None:
        super().__init__(message)
        self.result = result


@dataclass(frozen=True)
class Call:
    """Whose module it is, its arguments with defaults, and whether it may change anything."""

    computer: Computer
    arguments: Mapping[str, Any]
    check: bool
    environment: Mapping[str, str]

    def get(self, name: str, default: Any = None) -> Any:
        """An argument, or the default where it was not given."""
        value = self.arguments.get(name)
        return default if value is None else value
