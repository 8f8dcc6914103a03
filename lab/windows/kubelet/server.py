# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""The kubelet's own server, which only the API server may ask: exec, logs, healthz."""

from __future__ import annotations

import json
import logging
import ssl
import subprocess
import threading
from collections.abc import Callable
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from .runtime import Runtime, RuntimeFailed
from .settings import Settings
from .spdy import PING, RST_STREAM, SYN_STREAM, Connection

LOG = logging.getLogger(__name__)

PROTOCOLS = ("v4.channel.k8s.io",)
"""Of remote commands; since v4 the error stream says how a command ended, as JSON."""
STREAM_SECONDS = 30.0


class ExecServer(ThreadingHTTPServer):
    """Serves until it is shut down. `uid_of` finds a pod of this node."""

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, settings: Settings, uid_of: Callable[[str, str], str], runtime: Runtime) -> None:
        self.uid_of = uid_of
        self.runtime = runtime
        super().__init__((settings.address, settings.port), _Handler)
        certificate, key, authority = settings.serving
        self.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.tls.load_cert_chain(certificate, key)
        self.tls.load_verify_locations(authority)
        self.tls.verify_mode = ssl.CERT_REQUIRED

    def finish_request(self, request: Any, client_address: Any) -> None:
        """In the thread of the connection."""
        try:
            request = self.tls.wrap_socket(request, server_side=True)
        except (ssl.SSLError, OSError) as error:
            LOG.info("refused %s: %s", client_address[0], error)
            return
        super().finish_request(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    server: ExecServer
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: Any) -> None:
        LOG.debug(format, *args)

    def do_GET(self) -> None:
        """healthz, logs."""
        parts = urlsplit(self.path).path.strip("/").split("/")
        if parts == ["healthz"]:
            self._reply(200, "ok")
        elif parts[0] == "containerLogs" and len(parts) == 4:
            file = self.server.runtime.logs / f"{parts[2]}-{parts[3]}.log"
            self._reply(200, file.read_text(errors="replace")) if file.exists() else self._reply(404, "no such log")
        elif parts[0] == "exec":
            self._exec(parts)
        else:
            self._reply(404, f"the stand-in does not know {self.path}")

    def do_POST(self) -> None:
        """exec."""
        parts = urlsplit(self.path).path.strip("/").split("/")
        if parts[0] == "exec":
            self._exec(parts)
        else:
            self._reply(404, f"the stand-in does not know {self.path}")

    def _exec(self, parts: list[str]) -> None:
        query = parse_qs(urlsplit(self.path).query)
        if len(parts) not in (4, 5) or (self.headers.get("Upgrade") or "").upper() != "SPDY/3.1":
            self._reply(400, f"exec needs an upgrade to SPDY/3.1, not to {self.headers.get('Upgrade')}")
            return
        offered = [
            word.strip()
            for value in self.headers.get_all("X-Stream-Protocol-Version") or []
            for word in value.split(",")
        ]
        protocol = next((name for name in PROTOCOLS if name in offered), None)
        if protocol is None:
            self._reply(403, f"none of the protocols {offered} is known")
            return
        runtime = self.server.runtime
        try:
            command = runtime.command_inside(self.server.uid_of(parts[1], parts[2]), query.get("command", []))
        except RuntimeFailed as error:
            self._reply(404, str(error))
            return
        self.send_response(101)
        for name, value in (
            ("Upgrade", "SPDY/3.1"),
            ("Connection", "Upgrade"),
            ("X-Stream-Protocol-Version", protocol),
        ):
            self.send_header(name, value)
        self.end_headers()
        self.close_connection = True
        wanted = {"error"} | {
            name for name, key in (("stdin", "input"), ("stdout", "output"), ("stderr", "error")) if _true(query, key)
        }
        with suppress(OSError):
            _Session(Connection(self.connection), wanted).run(command)

    def _reply(self, status: int, text: str) -> None:
        content = text.encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


def _true(query: dict[str, list[str]], key: str) -> bool:
    return query.get(key, ["0"])[0].lower() in ("1", "true")


class _Session:
    """One command: its streams, from the API server's opening of them to the last word."""

    def __init__(self, connection: Connection, wanted: set[str]) -> None:
        self._connection = connection
        self._wanted = wanted
        self._streams: dict[str, int] = {}
        self._complete = threading.Event()
        self._process: subprocess.Popen[bytes] | None = None
        self._early: list[bytes | None] = []
        self._lock = threading.Lock()

    def run(self, command: list[str]) -> None:
        reader = threading.Thread(target=self._read, name="exec streams", daemon=True)
        reader.start()
        if not self._complete.wait(STREAM_SECONDS):
            LOG.warning("the streams %s were not opened", self._wanted - set(self._streams))
            return
        pipe = subprocess.PIPE
        process = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, env={"PATH": "/bin"})
        with self._lock:
            self._process = process
            for part in self._early:
                self._give(part)
            if "stdin" not in self._wanted:
                self._give(None)
        outputs = (("stdout", process.stdout), ("stderr", process.stderr))
        pumps = [threading.Thread(target=self._pump, args=item, daemon=True) for item in outputs]
        for pump in pumps:
            pump.start()
        status = process.wait()
        for pump in pumps:
            pump.join()
        self._connection.send(self._streams["error"], _ended(status), last=True)
        # The other side closes the connection when it has heard that.
        reader.join(STREAM_SECONDS)

    def _pump(self, name: str, source: Any) -> None:
        stream = self._streams.get(name)
        while part := source.read1(1 << 16):
            if stream is not None:
                self._connection.send(stream, part)
        if stream is not None:
            self._connection.send(stream, b"", last=True)

    def _read(self) -> None:
        with suppress(OSError, ValueError):
            while (frame := self._connection.read()) is not None:
                if frame.type == SYN_STREAM:
                    self._streams[frame.headers.get("streamtype", "")] = frame.stream
                    self._connection.accept(frame.stream)
                    if self._wanted <= set(self._streams):
                        self._complete.set()
                elif frame.type == PING:
                    self._connection.answer_ping(frame)
                elif frame.type == RST_STREAM:
                    break
                elif frame.type == 0 and frame.stream == self._streams.get("stdin"):
                    self._input(frame.content, frame.last)
        with self._lock:
            if self._process is not None and self._process.poll() is None:
                self._process.kill()

    def _input(self, content: bytes, last: bool) -> None:
        with self._lock:
            for part in [content] * bool(content) + [None] * last:
                if self._process is None:
                    self._early.append(part)
                else:
                    self._give(part)

    def _give(self, part: bytes | None) -> None:
        stdin = self._process.stdin if self._process is not None else None
        if stdin is None or stdin.closed:
            return
        with suppress(BrokenPipeError):
            if part is None:
                stdin.close()
            else:
                stdin.write(part)
                stdin.flush()


def _ended(code: int) -> bytes:
    """How a command ended, as a Status."""
    if code == 0:
        return json.dumps({"metadata": {}, "status": "Success"}).encode()
    cause = {"reason": "ExitCode", "message": str(code)}
    return json.dumps(
        {
            "metadata": {},
            "status": "Failure",
            "message": f"command terminated with non-zero exit code: exit status {code}",
            "reason": "NonZeroExitCode",
            "details": {"causes": [cause]},
        }
    ).encode()
