# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""JSON messages on a byte stream. OVSDB puts nothing between them (RFC 7047, section 4)."""

from __future__ import annotations

import contextlib
import json
import select
import socket
import ssl
import time
from typing import Any

from .errors import ConnectionFailed, Timeout

_CHUNK = 1 << 18
_DECODER = json.JSONDecoder()


class JsonStream:
    """Sends and receives JSON objects. One thread may receive while another sends."""

    def __init__(self, stream: socket.socket, name: str) -> None:
        self._socket = stream
        self._name = name
        self._buffer = b""
        self._text = ""
        stream.settimeout(30.0)

    def fileno(self) -> int:
        """For select(); -1 once closed."""
        return self._socket.fileno()

    def send(self, message: dict[str, Any]) -> None:
        """Write one message.

        Raises:
            ConnectionFailed: the peer is gone or takes nothing for 30 s. The connection is of no use any more.
        """
        try:
            self._socket.sendall(json.dumps(message, separators=(",", ":")).encode())
        except OSError as error:
            self._shut()  # a part may have been sent; another message must not become its end
            raise ConnectionFailed(f"{self._name}: {error}") from None

    def receive(self, timeout: float) -> dict[str, Any]:
        """The next message.

        Raises:
            Timeout: none came within `timeout` seconds.
            ConnectionFailed: the peer has closed the connection or sent what is no JSON object.
        """
        deadline = time.monotonic() + timeout
        while True:
            message = self._decode()
            if message is not None:
                return message
            self._read(max(0.0, deadline - time.monotonic()))

    def _decode(self) -> dict[str, Any] | None:
        if not self._text:
            # A message ends with a brace; trying at other places would parse a long reply again and again.
            if not self._buffer.endswith(b"}"):
                return None
            try:
                self._text = self._buffer.decode()
            except UnicodeDecodeError:
                return None
            self._buffer = b""
        try:
            message, end = _DECODER.raw_decode(self._text)
        except ValueError:
            self._buffer, self._text = self._text.encode(), ""
            return None
        if not isinstance(message, dict):
            raise ConnectionFailed(f"{self._name}: the peer does not speak OVSDB")
        self._text = self._text[end:]
        return message

    def _read(self, timeout: float) -> None:
        pending = isinstance(self._socket, ssl.SSLSocket) and self._socket.pending() > 0
        try:
            if not pending and not select.select([self._socket], [], [], timeout)[0]:
                raise Timeout(f"{self._name}: no answer within the time given")
            data = self._socket.recv(_CHUNK)
        except (OSError, ValueError) as error:
            raise ConnectionFailed(f"{self._name}: {error}") from None
        if not data:
            raise ConnectionFailed(f"{self._name}: the server has closed the connection")
        self._buffer += data

    def close(self) -> None:
        """Close the connection; twice is fine. A `receive` in another thread ends with ConnectionFailed."""
        self._shut()
        self._socket.close()

    def _shut(self) -> None:
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
