# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""Fixtures: one control plane for all tests, a fresh northbound database and watcher for each."""

from __future__ import annotations

import itertools
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from control_plane import ControlPlane, Objects, find_programs
from northbound import SCHEMA, Northbound, WatcherProcess
from watcher_world import World

_NUMBERS = itertools.count(1)


@pytest.fixture(scope="session")
def control_plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """etcd and kube-apiserver."""
    programs = find_programs()
    if programs is None:
        pytest.skip("no kube-apiserver and etcd: name their folder in OVN_K8S_KUBE_BIN or run `make lab-binaries`")
    plane = ControlPlane(programs, tmp_path_factory.mktemp("control-plane"))
    try:
        plane.start()
        yield plane
    finally:
        plane.stop()


@pytest.fixture
def northbound(tmp_path: Path) -> Iterator[Northbound]:
    """A northbound database with two nodes."""
    if shutil.which("ovsdb-server") is None or not SCHEMA.is_file():
        pytest.skip("no ovsdb-server or no OVN schema: install openvswitch-switch and ovn-central")
    server = Northbound(tmp_path / "nb")
    server.create()
    server.start()
    server.add_cluster(linux1="10.244.1.0/24", linux2="10.244.2.0/24")
    try:
        yield server
    finally:
        server.stop()


@pytest.fixture
def world(control_plane: ControlPlane, northbound: Northbound, tmp_path: Path) -> Iterator[World]:
    """API, database and a watcher that is not started yet, with a namespace for the test's objects."""
    objects = Objects(control_plane.api, f"test-{os.getpid()}-{next(_NUMBERS)}")
    objects.make_namespace()
    watcher = WatcherProcess(tmp_path / "watcher", northbound.remote, control_plane.kubeconfig("watcher"))
    try:
        yield World(control_plane, northbound, watcher, objects)
    finally:
        watcher.stop()
        Objects(control_plane.api, objects.namespace).clear()
