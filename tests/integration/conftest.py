# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""Databases for integration tests: each test gets fresh servers; the certificates are shared."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parent))

from ovsdb_servers import Authority, Server, free_port, missing


@pytest.fixture
def new_server() -> Iterator[Callable[..., Server]]:
    """Makes servers, started and with their singleton row; all are removed at the end of the test."""
    if reason := missing():
        pytest.skip(reason)
    made: list[Server] = []

    def make(database: str, *, initialise: bool = True, **options: Any) -> Server:
        made.append(Server(database, **options))
        made[-1].start()
        if initialise:
            made[-1].initialise()
        return made[-1]

    yield make
    for server in made:
        server.remove()


@pytest.fixture
def nb_server(new_server: Callable[..., Server]) -> Server:
    """An empty northbound database."""
    return new_server("OVN_Northbound")


@pytest.fixture
def sb_server(new_server: Callable[..., Server]) -> Server:
    """An empty southbound database."""
    return new_server("OVN_Southbound")


@pytest.fixture
def ovs_server(new_server: Callable[..., Server]) -> Server:
    """An empty database of Open vSwitch."""
    return new_server("Open_vSwitch")


@pytest.fixture
def switch(ovs_server: Server) -> Iterator[Server]:
    """Open vSwitch itself on the dummy datapath, which makes no device on this machine: the server of its database.

    Its sockets are in that server's folder.
    """
    program = shutil.which("ovs-vswitchd")
    if program is None:
        pytest.skip("not installed: ovs-vswitchd")
    command = [program, ovs_server.remote, "--enable-dummy=override", "--disable-system", "--no-chdir"]
    command += [f"--unixctl={ovs_server.folder}/vswitchd.ctl", "-vconsole:off", "--disable-system-route"]
    process = subprocess.Popen(command, env={**os.environ, "OVS_RUNDIR": str(ovs_server.folder)})
    yield ovs_server
    process.terminate()
    process.wait()


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """A certificate authority."""
    if reason := missing():
        pytest.skip(reason)
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture
def tls_server(new_server: Callable[..., Server], authority: Authority) -> tuple[Server, str]:
    """A northbound database behind TLS, and its remote."""
    port = free_port()
    server = new_server("OVN_Northbound", keys=authority.issue("server"), listen=[f"pssl:{port}:127.0.0.1"])
    return server, f"ssl:127.0.0.1:{port}"
