# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""Answers to health checks of services."""

from __future__ import annotations

import contextlib
import socket
from ipaddress import IPv4Address

import pytest

from ovn_k8s.node.local_endpoints import ANSWERS, MOST_AT_ONCE, LocalEndpoints, answer

HERE = IPv4Address("127.0.0.1")


def ask(port: int) -> bytes:
    with socket.create_connection((str(HERE), port), timeout=10) as client:
        client.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        said = b""
        while part := client.recv(1000):
            said += part
        return said


def test_two_answers() -> None:
    assert sorted(said.split(b"\r\n", 1)[0] for said in ANSWERS.values()) == [
        b"HTTP/1.1 200 OK",
        b"HTTP/1.1 503 Service Unavailable",
    ]
    assert all(b"Content-Length: %d\r\n" % len(said.partition(b"\r\n\r\n")[2]) in said for said in ANSWERS.values())


def test_clients_that_ask_nothing_and_those_that_go_keep_nobody_waiting() -> None:
    said = answer("200 OK", "well")
    server = LocalEndpoints(HERE, {0: said})
    server.start()
    (port,) = server.ports
    with contextlib.ExitStack() as silent:
        for _ in range(2 * MOST_AT_ONCE):
            silent.enter_context(socket.create_connection((str(HERE), port), timeout=10))
        assert ask(port) == said
    assert [ask(port) for _ in range(3)] == [said] * 3


def test_a_port_that_is_taken_is_said() -> None:
    with socket.create_server((str(HERE), 0)) as taken, pytest.raises(OSError, match="in use"):
        LocalEndpoints(HERE, {taken.getsockname()[1]: b""})
