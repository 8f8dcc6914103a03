# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""Makes the working tree importable as `ansible_collections.ovn_k8s.cluster`, wherever it was cloned to."""

from __future__ import annotations

import atexit
import shutil
import tempfile
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


@cache
def collections_path() -> Path:
    """A folder in which this working tree is `ansible_collections/ovn_k8s/cluster`."""
    if ROOT.parts[-3:] == ("ansible_collections", "ovn_k8s", "cluster"):
        return ROOT.parents[2]
    base = Path(tempfile.mkdtemp(prefix="ovn-k8s-collections-"))
    atexit.register(shutil.rmtree, base, ignore_errors=True)
    namespace = base / "ansible_collections" / "ovn_k8s"
    namespace.mkdir(parents=True)
    (namespace / "cluster").symlink_to(ROOT)
    return base
