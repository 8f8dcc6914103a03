# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""Where the programs of a Windows node keep what is not part of the bundle."""

from __future__ import annotations

import os
from pathlib import Path


def data_place() -> Path:
    """`C:\\ProgramData\\ovn-k8s`, whether it is there or not.

    Not taken from the environment, so that a service and a person mean the same folder.
    """
    return Path(os.environ.get("SYSTEMDRIVE", "C:") + r"\ProgramData\ovn-k8s")


def data_folder() -> Path:
    """The same, made if need be, for administrators and SYSTEM only."""
    folder = data_place()
    private(folder)
    return folder


def private(folder: Path) -> None:
    """Make a folder that only administrators and SYSTEM can use; since 3.13 Python knows this meaning of 0o700."""
    folder.mkdir(mode=0o700, exist_ok=True)
