# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""Values of the registry, below HKEY_LOCAL_MACHINE."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

winreg: Any = importlib.import_module("winreg")
"""Typed loosely: its types are known on Windows only."""


def exists(key: str) -> bool:
    """Whether there is such a key."""
    with suppress(OSError), winreg.OpenKey(winreg.HKEY_LOCAL_MACHINE, key):
        return True
    return False


def value(key: str, name: str) -> Any:
    """A value; None when there is none, or when it may not be read."""
    with suppress(OSError), winreg.OpenKey(winreg.HKEY_LOCAL_MACHINE, key) as handle:
        return winreg.QueryValueEx(handle, name)[0]
    return None


def set_texts(key: str, name: str, texts: Sequence[str]) -> None:
    """Set a list of texts (REG_MULTI_SZ); an empty one removes the value."""
    with winreg.CreateKey(winreg.HKEY_LOCAL_MACHINE, key) as handle:
        if texts:
            winreg.SetValueEx(handle, name, 0, winreg.REG_MULTI_SZ, list(texts))
        else:
            with suppress(FileNotFoundError):
                winreg.DeleteValue(handle, name)
