# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""What a load balancer in front of the nodes hears that asks whether a node has endpoints of a service.

The network leads health check ports of services to one of these two ports (`core.service_rows`); a node need not know
its services for that. Whatever is asked, there is one answer of HTTP on each.
"""

from __future__ import annotations

import logging
import selectors
import socket
import threading
import time
from ipaddress import IPv4Address

from ovn_k8s.core.node_services import HAS_ENDPOINT, HAS_NO_ENDPOINT

LOG = logging.getLogger(__name__)

IP_FREEBIND = 15  # ip(7)
MOST_AT_ONCE = 128
PATIENCE_S = 5.0


def answer(status: str, text: str) -> bytes:
    """A whole answer."""
    head = f"HTTP/1.1 {status}\r\nContent-Type: text/plain\r\nContent-Length: {len(text)}\r\nConnection: close\r\n\r\n"
    return f"{head}{text}".encode()


ANSWERS = {
    HAS_ENDPOINT: answer("200 OK", "this node has endpoints of the service\n"),
    HAS_NO_ENDPOINT: answer("503 Service Unavailable", "this node has no endpoint of the service\n"),
}


class LocalEndpoints:
    """Answers on a thread of its own, at the node's address, which may come later. `ports`: what is said at which."""

    def __init__(self, address: IPv4Address, answers: dict[int, bytes] | None = None) -> None:
        """Raises OSError when a port is taken."""
        self._selector = selectors.DefaultSelector()
        self._since: dict[socket.socket, float] = {}
        self.ports: list[int] = []
        for port, said in (answers or ANSWERS).items():
            listener = socket.socket()
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.setsockopt(socket.SOL_IP, IP_FREEBIND, 1)
            listener.bind((str(address), port))
            listener.listen(MOST_AT_ONCE)
            listener.setblocking(False)
            self._selector.register(listener, selectors.EVENT_READ, (True, said))
            self.ports.append(listener.getsockname()[1])
        self._thread = threading.Thread(target=self._run, name="local-endpoints", daemon=True)

    def start(self) -> None:
        """Start the thread, which ends with the program."""
        self._thread.start()

    def _run(self) -> None:
        while True:
            for key, _events in self._selector.select():
                listens, said = key.data
                assert isinstance(key.fileobj, socket.socket)
                try:
                    if listens:
                        self._take(key.fileobj, said)
                    elif key.fileobj in self._since:  # it may have made room just now
                        self._answer(key.fileobj, said)
                except OSError as error:
                    LOG.debug("a health check: %s", error)

    def _take(self, listener: socket.socket, said: bytes) -> None:
        """Wait for the question of a new client; those that do not ask make room."""
        client, _address = listener.accept()
        client.setblocking(False)
        now = time.monotonic()
        for other, since in list(self._since.items()):
            if now - since > PATIENCE_S or len(self._since) >= MOST_AT_ONCE:
                self._close(other)
        self._since[client] = now
        self._selector.register(client, selectors.EVENT_READ, (False, said))

    def _answer(self, client: socket.socket, said: bytes) -> None:
        try:
            if client.recv(8192):
                client.send(said)
                client.shutdown(socket.SHUT_WR)
        finally:
            self._close(client)

    def _close(self, client: socket.socket) -> None:
        self._since.pop(client, None)
        self._selector.unregister(client)
        client.close()
