# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""The end of a cluster."""

from __future__ import annotations

from typing import Any

from .conftest import Lab, assert_same


def test_reset_asks_first(cluster: Lab) -> None:
    run = cluster.play("reset.yml", "-e", "reset_confirm=no")
    assert run.status != 0
    assert "linux1" in cluster.kubectl("get", "nodes")


def test_reset_leaves_the_machines_as_they_were(cluster: Lab, blank: dict[str, dict[str, Any]]) -> None:
    run = cluster.play("reset.yml", "-e", "reset_confirm=yes")
    assert run.status == 0
    assert_same(blank, cluster.fingerprints())
