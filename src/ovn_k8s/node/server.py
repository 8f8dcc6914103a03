# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""The unix socket on which the CNI executable asks (protocol: see `ovn_k8s.cni.shim`)."""

from __future__ import annotations

import json
import logging
import os
import socket
import socketserver
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ovn_k8s.cni.protocol import LATEST_VERSION, CniError, Code, Request, parse_request, version_result

LOG = logging.getLogger(__name__)

READ_SECONDS = 10.0
LONGEST_REQUEST = 4 << 20

Handler = Callable[[Request], dict[str, Any] | None]


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
        code, stdout = answer(message, self.server.answer_with)
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


def answer(message: Any, handler: Handler) -> tuple[int, str]:
    """The code (0, or of the error) and the standard output for one message of the shim."""
    version, operation = LATEST_VERSION, "request"
    try:
        try:
            environment, stdin = dict(message["env"]), str(message["stdin"])
        except (KeyError, TypeError, ValueError) as error:
            raise CniError(Code.DECODING_FAILURE, "a request without env or stdin", str(error)) from error
        operation = f"{environment.get('CNI_COMMAND')} {environment.get('CNI_ARGS', '')}".strip()
        request = parse_request(environment, stdin)
        version = request.version
        result = version_result(version) if request.command == "VERSION" else handler(request)
        return 0, "" if result is None else json.dumps(result)
    except CniError as error:
        LOG.warning("%s failed: code %d: %s", operation, error.code, error)
        return int(error.code), json.dumps(error.to_json(version))
    except Exception as error:
        LOG.exception("%s failed unexpectedly", operation)
        return int(Code.INTERNAL), json.dumps(
            CniError(Code.INTERNAL, "ovn-k8s-node failed unexpectedly; see its journal", repr(error)).to_json(version)
        )
