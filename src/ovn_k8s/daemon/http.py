# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""What can be asked from outside: /healthz, /readyz and /metrics, on loopback."""

from __future__ import annotations

import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

Check = Callable[[], list[str]]
"""Gives what is wrong, a line each; nothing when all is well."""


class StatusServer:
    """Answers GET requests on a thread of its own."""

    def __init__(
        self,
        address: str,
        port: int,
        *,
        health: Check,
        ready: Check,
        metrics: Callable[[], str],
        role: Callable[[], str] = lambda: "ok",
    ) -> None:
        """`role` is what /readyz says when it is. Port 0 takes any that is free. Raises OSError."""

        class Handler(BaseHTTPRequestHandler):
            server_version = "ovn-k8s"
            sys_version = ""
            timeout = 10

            def do_GET(self) -> None:
                path = self.path.split("?", 1)[0]
                if path == "/metrics":
                    self._answer(200, metrics(), "text/plain; version=0.0.4; charset=utf-8")
                elif path in ("/healthz", "/readyz"):
                    wrong, well = (health(), "ok") if path == "/healthz" else (ready(), role())
                    self._answer(503 if wrong else 200, "\n".join(wrong or [well]) + "\n", "text/plain; charset=utf-8")
                else:
                    self._answer(404, "there are /healthz, /readyz and /metrics\n", "text/plain; charset=utf-8")

            def _answer(self, status: int, text: str, kind: str) -> None:
                body = text.encode()
                self.send_response(status)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:
                pass

        self._server = ThreadingHTTPServer((address, port), Handler)
        self._server.daemon_threads = True
        self.port: int = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, name="status", daemon=True)

    def start(self) -> None:
        """Begin to answer."""
        self._thread.start()

    def stop(self) -> None:
        """Stop answering."""
        self._server.shutdown()
        self._server.server_close()
