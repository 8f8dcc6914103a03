# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""What kind of node this machine is now, from the settings of its service."""

from __future__ import annotations

import tomllib
from pathlib import Path

from ..config import CONTAINERD, HYBRID_OVERLAY


def present(folder: Path) -> dict[str, str]:
    """`datapath` and `runtime`, from node.toml in the data folder; empty where there is none that says so."""
    try:
        document = tomllib.loads((folder / "node.toml").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    found = {"datapath": document.get("datapath", HYBRID_OVERLAY), "runtime": document.get("runtime", CONTAINERD)}
    return {key: str(value) for key, value in found.items()}
