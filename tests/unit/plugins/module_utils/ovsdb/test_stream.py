# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator

import pytest
from ansible_collections.ovn_k8s.cluster.plugins.module_utils.ovsdb.errors import ConnectionFailed, Timeout
from ansible_collections.ovn_k8s.cluster.plugins.module_utils.ovsdb.stream import JsonStream


@pytest.fixture
def pair() -> Iterator[tuple[JsonStream, socket.socket]]:
    ours, theirs = socket.socketpair()
    stream = JsonStream(ours, "test")
    yield stream, theirs
    stream.close()
    theirs.close()


def test_messages_arrive_in_pieces_and_together(pair: tuple[JsonStream, socket.socket]) -> None:
    stream, peer = pair
    first, second = {"id": 1, "text": '}é{"\\'}, {"id": 2, "nested": {"a": [{}]}}
    data = json.dumps(first, ensure_ascii=False).encode() + json.dumps(second).encode()
    for cut in range(1, len(data)):
        peer.sendall(data[:cut])
        if cut < len(json.dumps(first, ensure_ascii=False).encode()):
            with pytest.raises(Timeout):
                stream.receive(0)
        peer.sendall(data[cut:])
        assert stream.receive(1) == first
        assert stream.receive(1) == second


def test_nothing_comes(pair: tuple[JsonStream, socket.socket]) -> None:
    with pytest.raises(Timeout, match="test: no answer within the time given"):
        pair[0].receive(0.01)


def test_the_peer_goes(pair: tuple[JsonStream, socket.socket]) -> None:
    stream, peer = pair
    peer.sendall(b'{"id":')
    peer.close()
    with pytest.raises(ConnectionFailed, match="the server has closed the connection"):
        stream.receive(1)
    with pytest.raises(ConnectionFailed):
        stream.send({})


def test_a_message_that_was_sent_in_part_ends_the_connection() -> None:
    ours, theirs = socket.socketpair()
    stream = JsonStream(ours, "test")
    ours.settimeout(0.05)
    with theirs:
        with pytest.raises(ConnectionFailed):
            stream.send({"long": "x" * 10_000_000})
        received = theirs.recv(1000)
        while data := theirs.recv(1 << 20):
            received += data
        assert received.startswith(b'{"long":"xxx')
        with pytest.raises(ConnectionFailed):
            stream.send({"id": 2})
        with pytest.raises(ConnectionFailed):
            stream.receive(1)
    stream.close()


def test_closing_ends_a_receive_in_another_thread(pair: tuple[JsonStream, socket.socket]) -> None:
    stream = pair[0]
    failures: list[Exception] = []

    def receive() -> None:
        try:
            stream.receive(10)
        except ConnectionFailed as error:
            failures.append(error)

    thread = threading.Thread(target=receive)
    thread.start()
    stream.close()
    stream.close()
    thread.join(5)
    assert len(failures) == 1
    assert stream.fileno() == -1


def test_a_long_message(pair: tuple[JsonStream, socket.socket]) -> None:
    stream, peer = pair
    message = {"rows": [{"name": f"row{number}", "map": {"a": "b" * 50}} for number in range(20000)]}
    sender = threading.Thread(target=peer.sendall, args=(json.dumps(message).encode(),))
    sender.start()
    assert stream.receive(20) == message
    sender.join()


def test_a_peer_that_speaks_something_else(pair: tuple[JsonStream, socket.socket]) -> None:
    stream, peer = pair
    peer.sendall(b'[{"a": 1}, {}')
    peer.sendall(b"]{}")
    with pytest.raises(ConnectionFailed, match="test: the peer does not speak OVSDB"):
        stream.receive(1)
