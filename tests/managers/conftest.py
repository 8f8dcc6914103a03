# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""Makes the collection and the lab importable. The tests take minutes each: only `make network-managers` runs them."""

from __future__ import annotations

import atexit
import shutil
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve()
ROOT = HERE.parents[2]
_COLLECTIONS = Path(tempfile.mkdtemp(prefix="ovn-k8s-collections-"))
atexit.register(shutil.rmtree, _COLLECTIONS, ignore_errors=True)
(_COLLECTIONS / "ansible_collections/ovn_k8s").mkdir(parents=True)
(_COLLECTIONS / "ansible_collections/ovn_k8s/cluster").symlink_to(ROOT)
sys.path[:0] = [str(_COLLECTIONS), str(ROOT), str(HERE.parent)]
