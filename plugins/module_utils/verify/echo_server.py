# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""The server that the verification runs on a node: answers one line over TCP, or one datagram, as netcheck does.

A program of its own, run by systemd as `python3 -I echo_server.py NAME ADDRESS PORT` without privileges.
The answer is one line of JSON: hostname, protocol, client_ip, client_port, server_ip, size and payload (at most 256
characters of it).
"""

from __future__ import annotations

import json
import socketserver
import sys
import threading

LONGEST_ECHO = 256
LONGEST_LINE = 65536


def answer(name: str, protocol: str, client: tuple[str, int], server: str, payload: bytes) -> bytes:
    """What is said to a client."""
    said = {
        "hostname": name,
        "protocol": protocol,
        "client_ip": client[0],
        "client_port": client[1],
        "server_ip": server,
        "size": len(payload),
        "payload": payload[:LONGEST_ECHO].decode(errors="replace"),
    }
    return json.dumps(said).encode() + b"\n"


class _Streams(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True


class EchoServer:
    """Answers on one TCP and one UDP port of one address until `close`. Port 0 chooses one."""

    def __init__(self, name: str, address: str, port: int) -> None:
        class Stream(socketserver.StreamRequestHandler):
            timeout = 10

            def handle(self) -> None:
                line = self.rfile.readline(LONGEST_LINE).rstrip(b"\r\n")
                if line:
                    self.wfile.write(answer(name, "tcp", self.client_address, address, line))

        class Packet(socketserver.DatagramRequestHandler):
            def handle(self) -> None:
                self.wfile.write(answer(name, "udp", self.client_address, address, self.rfile.read()))

        self.streams = _Streams((address, port), Stream)
        self.port: int = self.streams.server_address[1]
        try:
            self.packets = socketserver.UDPServer((address, self.port), Packet)
        except OSError:
            self.streams.server_close()
            raise

    def start(self) -> None:
        """Begin to answer."""
        for server in (self.streams, self.packets):
            threading.Thread(target=server.serve_forever, daemon=True).start()

    def close(self) -> None:
        """Stop answering."""
        for server in (self.streams, self.packets):
            server.shutdown()
            server.server_close()


def main(arguments: list[str]) -> None:
    """NAME ADDRESS PORT."""
    name, address, port = arguments
    server = EchoServer(name, address, int(port))
    server.start()
    threading.Event().wait()


if __name__ == "__main__":
    main(sys.argv[1:])
