# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""A small API server with nodes: TLS, client certificates, lists, watches and merge patches on loopback."""

from __future__ import annotations

import datetime
import ipaddress
import json
import queue
import ssl
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


def certificates(folder: Path) -> None:
    """ca.crt, server.{crt,key} for 127.0.0.1 and client.{crt,key}."""
    ca_key = ec.generate_private_key(ec.SECP256R1())
    ca_name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test CA")])
    (folder / "ca.crt").write_bytes(_certificate(ca_name, ca_key, ca_name, ca_key, authority=True))
    for name in ("server", "client"):
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        (folder / f"{name}.crt").write_bytes(_certificate(subject, key, ca_name, ca_key, authority=False))
        (folder / f"{name}.key").write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )


def _certificate(
    subject: x509.Name,
    key: ec.EllipticCurvePrivateKey,
    issuer: x509.Name,
    issuer_key: ec.EllipticCurvePrivateKey,
    *,
    authority: bool,
) -> bytes:
    now = datetime.datetime.now(datetime.UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(hours=1))
        .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
    )
    return builder.sign(issuer_key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


class ApiServer(ThreadingHTTPServer):
    """Serves `nodes`; `tell` sends an event to every watch, `cut` ends them."""

    daemon_threads = True

    def __init__(self, folder: Path, port: int = 0) -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(folder / "server.crt", folder / "server.key")
        context.load_verify_locations(folder / "ca.crt")
        context.verify_mode = ssl.CERT_REQUIRED
        self.socket = context.wrap_socket(self.socket, server_side=True)
        self.nodes: dict[str, dict[str, Any]] = {}
        self.version = 100
        self.watches: list[queue.Queue[dict[str, Any] | None]] = []
        self.patches: list[tuple[str, dict[str, Any]]] = []
        self.lists = 0
        self.refuse = 0
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def address(self) -> str:
        return f"https://127.0.0.1:{self.server_address[1]}"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Broken connections are part of the tests."""

    def put(self, node: dict[str, Any], type_: str = "MODIFIED") -> None:
        self.version += 1
        node["metadata"]["resourceVersion"] = str(self.version)
        name = node["metadata"]["name"]
        if type_ == "DELETED":
            self.nodes.pop(name)
        else:
            self.nodes[name] = node
        self.tell({"type": type_, "object": node})

    def tell(self, event: dict[str, Any]) -> None:
        for watch in self.watches:
            watch.put(event)

    def cut(self) -> None:
        for watch in self.watches:
            watch.put(None)
        self.watches = []


class _Handler(BaseHTTPRequestHandler):
    server: ApiServer
    protocol_version = "HTTP/1.1"

    def log_message(self, *arguments: Any) -> None:
        pass

    def _answer(self, code: int, document: dict[str, Any]) -> None:
        content = json.dumps(document).encode()
        self.send_response(code)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def do_GET(self) -> None:
        if self.server.refuse:
            self._answer(self.server.refuse, {"message": "not now"})
            return
        query = parse_qs(urlsplit(self.path).query)
        if "watch" not in query:
            self.server.lists += 1
            metadata = {"resourceVersion": str(self.server.version)}
            self._answer(200, {"metadata": metadata, "items": list(self.server.nodes.values())})
            return
        events: queue.Queue[dict[str, Any] | None] = queue.Queue()
        self.server.watches.append(events)
        # What happened between the list and the watch is told, as a real server does it.
        since = int(query["resourceVersion"][0])
        for node in list(self.server.nodes.values()):
            if int(node["metadata"]["resourceVersion"]) > since:
                events.put({"type": "MODIFIED", "object": node})
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        while (event := events.get()) is not None:
            line = json.dumps(event).encode() + b"\n"
            self.wfile.write(b"%x\r\n%s\r\n" % (len(line), line))
        self.wfile.write(b"0\r\n\r\n")
        self.close_connection = True

    def do_PATCH(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.patches.append((self.path, body))
        name = self.path.rpartition("/")[2]
        node = self.server.nodes[name]
        node["metadata"].setdefault("annotations", {}).update(body["metadata"]["annotations"])
        self.server.put(node)
        self._answer(200, node)
