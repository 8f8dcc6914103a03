# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""One rig for all tests of this folder."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

import service_rig


@pytest.fixture(scope="session")
def rig() -> Iterator[service_rig.Rig]:
    """Control plane, watcher, OVN, pods a (n1), b (n1) and c (n2) of app `web`, and a pod `client` (n2) of none."""
    if reason := service_rig.missing():
        pytest.skip(reason)
    made = service_rig.Rig()
    try:
        made.start()
        ports = ("tcp:8080", "tcp:8081", "udp:8080", "sctp:8080")
        for name, node in (("a", "n1"), ("b", "n1"), ("c", "n2")):
            made.pod(name, node, "web", ports, {"http": 8081 if name == "a" else 8080})
        made.pod("client", "n2", "none", ())
        yield made
    finally:
        made.stop()
