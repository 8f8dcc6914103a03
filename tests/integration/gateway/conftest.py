# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""One gateway for all tests of this folder."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parent.parent / "services"))
sys.path.insert(0, str(Path(__file__).parent.parent / "watcher"))
sys.path.insert(0, str(Path(__file__).parent.parent / "node"))

import rig
from traffic import Traffic


@pytest.fixture(scope="session")
def gateway() -> Iterator[rig.Gateway]:
    """A gateway without helper and flows."""
    if reason := rig.missing():
        pytest.skip(reason)
    system = rig.Gateway()
    try:
        system.start()
        yield system
    finally:
        system.stop()


@pytest.fixture(autouse=True)
def repaired(request: pytest.FixtureRequest) -> Iterator[None]:
    """The gateway is whole again after each test."""
    system = request.getfixturevalue("gateway") if "gateway" in request.fixturenames else None
    yield
    if isinstance(system, rig.Gateway):  # some tests have a parameter of this name
        system.repair()


@pytest.fixture
def helper(gateway: rig.Gateway) -> Iterator[rig.Helper]:
    """The helper, running and ready."""
    helper = rig.Helper(gateway)
    helper.start()
    try:
        helper.wait_ready()
        yield helper
    finally:
        helper.stop()


@pytest.fixture(scope="session")
def traffic(gateway: rig.Gateway) -> Iterator[Traffic]:
    """Echo servers on the internet (9000), the node (9001) and the pod (9002), and clients anywhere."""
    made = Traffic(gateway)
    made.start()
    yield made
