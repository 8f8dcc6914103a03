# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""A TCP port of loopback that leads to a server, and that can fail in the ways in which networks do."""

from __future__ import annotations

import contextlib
import socket
import threading
from pathlib import Path


class Line:
    """One connection. Bytes of a direction pass while its event is set, and wait in the proxy while it is not."""

    def __init__(self, client: socket.socket, server: socket.socket) -> None:
        self.client, self.server = client, server
        self.sent = 0
        self.up, self.down = threading.Event(), threading.Event()

    def carry(self, source: socket.socket, target: socket.socket, passes: threading.Event) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(1 << 16):
                passes.wait()
                target.sendall(data)
                self.sent += len(data) if source is self.client else 0
        passes.wait()
        self.close()

    def close(self) -> None:
        for each in (self.client, self.server):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()


class Wire:
    """To a TCP port or a unix socket. The kernel acknowledges what is held, so nobody's keepalive notices."""

    def __init__(self, target: tuple[str, int] | Path) -> None:
        self._target = target
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._lines: list[Line] = []
        self._lock = threading.Lock()
        self._up = self._down = True
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    @property
    def sent(self) -> int:
        """Bytes that have reached the server over the connections that are there."""
        with self._lock:
            return sum(line.sent for line in self._lines)

    def hold(self, *, up: bool = True, down: bool = True) -> None:
        """Hold back what is sent (`up`) and what is answered (`down`), also on new connections, until `let_go`."""
        self._set(not up, not down)

    def let_go(self) -> None:
        """Deliver what was held, however late, and everything from now on."""
        self._set(True, True)

    def strand(self) -> None:
        """The connections that are there fall silent for ever and stay open; new ones work."""
        with self._lock:
            for line in self._lines:
                line.up.clear()
                line.down.clear()
            self._lines.clear()

    def cut(self) -> None:
        """Break all connections. What is held is lost."""
        with self._lock:
            lines, self._lines = self._lines, []
        for line in lines:
            line.close()

    def close(self) -> None:
        """End."""
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(5)
        self.cut()

    def _set(self, up: bool, down: bool) -> None:
        with self._lock:
            self._up, self._down = up, down
            for line in self._lines:
                self._gate(line)

    def _gate(self, line: Line) -> None:
        for event, passes in ((line.up, self._up), (line.down, self._down)):
            (event.set if passes else event.clear)()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            unix = isinstance(self._target, Path)
            server = socket.socket(socket.AF_UNIX if unix else socket.AF_INET)
            try:
                server.connect(str(self._target) if unix else self._target)
            except OSError:
                client.close()
                server.close()
                continue
            line = Line(client, server)
            with self._lock:
                self._lines.append(line)
                self._gate(line)
            for way in ((client, server, line.up), (server, client, line.down)):
                threading.Thread(target=line.carry, args=way, daemon=True).start()
