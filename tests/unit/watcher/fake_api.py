# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""An HTTP server that plays the API server's lists and watches, and their failures, as a test says."""

from __future__ import annotations

import json
import queue
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import urllib3

from ovn_k8s.kubernetes.api import Api

BREAK = object()
"""Put into a watch: the connection breaks here, in the middle of a line."""
END = object()
"""Put into a watch: it ends here as watches do when their time is over."""


def pod(name: str, version: int, **fields: Any) -> dict[str, Any]:
    """A pod document."""
    return {
        "metadata": {"namespace": "d", "name": name, "uid": f"uid-{name}", "resourceVersion": str(version)},
        "spec": {"nodeName": "linux1"},
        "status": {},
        **fields,
    }


def event(kind: str, document: dict[str, Any]) -> dict[str, Any]:
    """A watch event."""
    return {"type": kind, "object": document}


@dataclass
class FakeApi:
    """`objects` is what a list gives; what is put into `watches` comes out of the watch that is open."""

    objects: list[dict[str, Any]] = field(default_factory=list)
    version: int = 1
    page: int = 1000
    watches: queue.Queue[Any] = field(default_factory=queue.Queue)
    requests: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    failures: list[tuple[int, dict[str, str]]] = field(default_factory=list)
    """Status and headers of the next answers, before anything works again."""

    def __post_init__(self) -> None:
        fake = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                parts = urlsplit(self.path)
                query = {name: values[0] for name, values in parse_qs(parts.query).items()}
                fake.requests.append(("watch" if "watch" in query else "list", query))
                if fake.failures:
                    status, headers = fake.failures.pop(0)
                    self._document(status, {"kind": "Status", "reason": "Because", "message": "told to"}, headers)
                elif "watch" in query:
                    self._watch()
                else:
                    self._list(query)

            def _list(self, query: dict[str, str]) -> None:
                begin = int(query.get("continue", "0"))
                end = begin + min(fake.page, int(query["limit"]))
                metadata = {"resourceVersion": str(fake.version)}
                if end < len(fake.objects):
                    metadata["continue"] = str(end)
                self._document(200, {"metadata": metadata, "items": fake.objects[begin:end]}, {})

            def _document(self, status: int, document: dict[str, Any], headers: dict[str, str]) -> None:
                body = json.dumps(document).encode()
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def _watch(self) -> None:
                self.send_response(200)
                self.send_header("Transfer-Encoding", "chunked")
                self.end_headers()
                while True:
                    item = fake.watches.get()
                    if item is END:
                        self.wfile.write(b"0\r\n\r\n")
                        return
                    if item is BREAK:
                        self._chunk(b'{"type": "MODI')
                        self.close_connection = True
                        return
                    self._chunk(json.dumps(item).encode() + b"\n")

            def _chunk(self, data: bytes) -> None:
                self.wfile.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")
                self.wfile.flush()

            def log_message(self, format: str, *args: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def api(self) -> Api:
        """A client of this server."""
        return Api(urllib3.PoolManager(maxsize=4), f"http://127.0.0.1:{self.server.server_address[1]}")

    def count(self, kind: str) -> int:
        """How many lists (pages count singly) or watches were asked for."""
        return sum(1 for what, _ in self.requests if what == kind)

    def stop(self) -> None:
        """Stop serving."""
        self.watches.put(END)
        self.server.shutdown()
        self.server.server_close()
