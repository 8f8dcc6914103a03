# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""The unix socket on which the CNI executable asks (protocol: see `ovn_k8s.cni.shim`)."""

from __future__ import annotations

import json
import logging
import os
import socket
import socketserver
from pathlib import Path
from typing import Any

from ovn_k8s.cni.answer import Handler, answer

LOG = logging.getLogger(__name__)

READ_SECONDS = 10.0
LOG_NAME = "the journal of ovn-k8s-node"
LONGEST_REQUEST = 4 << 20


class Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    """One thread per request. The socket is for root only."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, path: Path, handler: Handler) -> None:
        """Listen on `path`; a socket that a killed agent has left there is replaced."""
        self.answer_with = handler
        path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        mask = os.umask(0o177)
        try:
            super().__init__(str(path), _Conversation)
        finally:
            os.umask(mask)


class _Conversation(socketserver.BaseRequestHandler):
    server: Server
    request: socket.socket

    def handle(self) -> None:
        try:
            message = self._read()
        except (OSError, ValueError) as error:
            LOG.warning("a request could not be read: %s", error)
            return
        code, stdout = answer(message, self.server.answer_with, LOG_NAME)
        try:
            self.request.sendall(json.dumps({"code": code, "stdout": stdout}).encode())
        except OSError as error:
            LOG.warning("the caller did not wait for its answer: %s", error)

    def _read(self) -> Any:
        self.request.settimeout(READ_SECONDS)
        received = bytearray()
        while part := self.request.recv(65536):
            received += part
            if len(received) > LONGEST_REQUEST:
                raise ValueError(f"longer than {LONGEST_REQUEST} bytes")
        return json.loads(received)
