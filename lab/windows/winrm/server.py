# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""The listener: HTTPS, NTLM for each connection, and messages encrypted with its session key."""

from __future__ import annotations

import base64
import logging
import re
import ssl
import struct
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import spnego

from . import messages
from .messages import LONGEST_REQUEST, WsmanFault
from .shells import Shells

LOG = logging.getLogger(__name__)

SCHEMES = {
    "NTLM": ("ntlm", spnego.NegotiateOptions.use_ntlm),
    "Negotiate": ("negotiate", spnego.NegotiateOptions.use_negotiate),
}
PLAIN = "application/soap+xml;charset=UTF-8"
PROTOCOL = "application/HTTP-SPNEGO-session-encrypted"
ENCRYPTED = f'multipart/encrypted;protocol="{PROTOCOL}";boundary="Encrypted Boundary"'
ENCRYPTED_BODY = re.compile(rb"application/octet-stream\r\n(.*)--Encrypted Boundary", re.DOTALL)


class Listener(ThreadingHTTPServer):
    """Listens for WinRM. Accounts are read from the file that NTLM_USER_FILE names (`DOMAIN:user:password` lines).

    `connected` says whether the network lets anybody through at this moment.
    """

    daemon_threads = True
    allow_reuse_address = True

    def __init__(
        self,
        place: tuple[str, int],
        shells: Shells,
        certificate: Path | None = None,
        private_key: Path | None = None,
        connected: Callable[[], bool] = lambda: True,
    ) -> None:
        self.shells = shells
        self.connected = connected
        super().__init__(place, _Conversation)
        self.tls: ssl.SSLContext | None = None
        if certificate is not None:
            self.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self.tls.load_cert_chain(certificate, private_key)

    def finish_request(self, request: Any, client_address: Any) -> None:
        """In the thread of the connection, so that a client that says nothing holds up nobody else."""
        if self.tls is not None:
            try:
                request = self.tls.wrap_socket(request, server_side=True)
            except (ssl.SSLError, OSError) as error:
                LOG.info("no TLS with %s: %s", client_address[0], error)
                return
        super().finish_request(request, client_address)


class _Conversation(BaseHTTPRequestHandler):
    server: Listener
    protocol_version = "HTTP/1.1"
    server_version = "Microsoft-HTTPAPI/2.0"
    disable_nagle_algorithm = True
    security: Any = None
    """NTLM proves who is at the other end of this connection, once."""
    proven = False

    def log_message(self, format: str, *args: Any) -> None:
        LOG.debug(format, *args)

    def do_POST(self) -> None:
        """One request."""
        content = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if not self.server.connected():
            self.close_connection = True
            return
        scheme, _, value = (self.headers.get("Authorization") or "").partition(" ")
        headers = {}
        if scheme in SCHEMES:
            token = self._authenticate(scheme, value)
            if not self.proven:
                self._unauthorized(f"{scheme} {base64.b64encode(token).decode()}" if token else "")
                return
            if token:
                headers["WWW-Authenticate"] = f"{scheme} {base64.b64encode(token).decode()}"
        if not self.proven:
            self._unauthorized()
        elif not content:
            self._reply(200, headers)
        elif (self.headers.get("Content-Type") or "").startswith("multipart/encrypted"):
            self._encrypted(content, headers)
        elif len(content) > LONGEST_REQUEST:
            self._reply(413, headers)
        elif self.server.tls is None:
            # AllowUnencrypted is false on a Windows that nobody has configured.
            self._reply(500, headers)
        else:
            status, body = self._answer(content)
            self._reply(status, headers, body)

    def _authenticate(self, scheme: str, value: str) -> bytes | None:
        if self.security is None or self.proven:
            protocol, options = SCHEMES[scheme]
            self.security, self.proven = spnego.server(protocol=protocol, options=options), False
        try:
            token: bytes | None = self.security.step(base64.b64decode(value))
        except Exception as error:
            # spnego has several kinds of errors for credentials that are wrong.
            LOG.info("refused: %s", error)
            self.security = None
            return None
        self.proven = bool(self.security.complete)
        return token

    def _encrypted(self, content: bytes, headers: dict[str, str]) -> None:
        found = ENCRYPTED_BODY.search(content)
        if found is None:
            self._reply(400, headers)
            return
        payload = found.group(1)
        (length,) = struct.unpack("<i", payload[:4])
        request = self.security.unwrap_winrm(payload[4 : 4 + length], payload[4 + length :])
        status, body = (413, b"") if len(request) > LONGEST_REQUEST else self._answer(request)
        wrapped = self.security.wrap_winrm(body)
        head = (
            f"--Encrypted Boundary\r\n\tContent-Type: {PROTOCOL}\r\n"
            f"\tOriginalContent: type={PLAIN};Length={len(body) + wrapped.padding_length}\r\n"
            "--Encrypted Boundary\r\n\tContent-Type: application/octet-stream\r\n"
        )
        parts = [head.encode(), struct.pack("<i", len(wrapped.header)), wrapped.header, wrapped.data]
        self._reply(status, headers, b"".join([*parts, b"--Encrypted Boundary--\r\n"]), ENCRYPTED)

    def _answer(self, content: bytes) -> tuple[int, bytes]:
        try:
            return 200, self.server.shells.answer(messages.parse(content))
        except WsmanFault as fault:
            return 500, fault.envelope()

    def _unauthorized(self, challenge: str = "") -> None:
        self.send_response(401)
        for value in [challenge] if challenge else list(SCHEMES):
            self.send_header("WWW-Authenticate", value)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def _reply(self, status: int, headers: dict[str, str], body: bytes = b"", kind: str = PLAIN) -> None:
        if not self.server.connected():
            self.close_connection = True
            return
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        if body:
            self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
