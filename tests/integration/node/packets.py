# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""A server and a client that tell each other how much came through, and from where."""

from __future__ import annotations

import subprocess
import sys

UDP_LARGEST = 1372
"""Bytes of the largest datagram in a packet of 1,400."""

SERVER = """
import socket, sys, threading
def udp():
    one = socket.socket(type=socket.SOCK_DGRAM); one.bind(("", 8080))
    while True:
        data, peer = one.recvfrom(65535); one.sendto(("|" + peer[0]).encode().rjust(len(data), b"."), peer)
threading.Thread(target=udp, daemon=True).start()
listener = socket.socket(); listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
listener.bind(("", 8080)); listener.listen(16)
while True:
    connection, peer = listener.accept()
    data = b""
    while not data.endswith(b"$"):
        data += connection.recv(65535)
    connection.sendall(data + b"|" + peer[0].encode()); connection.close()
"""
CLIENT = """
import socket, sys
kind, address, size = sys.argv[1], sys.argv[2], int(sys.argv[3])
one = socket.socket(type=socket.SOCK_STREAM if kind == "tcp" else socket.SOCK_DGRAM); one.settimeout(2)
if kind == "udp":
    one.setsockopt(socket.IPPROTO_IP, 10, 2)  # IP_MTU_DISCOVER: never fragment
sent = b"x" * (size - 1) + b"$"
got = b""
try:
    one.connect((address, 8080))
    one.sendall(sent)
    if kind == "udp":
        got = one.recv(65535)
    while kind == "tcp" and (part := one.recv(65535)):
        got += part
except OSError as error:
    sys.exit(str(error))
if len(got) < size or kind == "tcp" and not got.startswith(sent + b"|"):
    sys.exit(f"only {len(got)} bytes came back")
print(got.rpartition(b"|")[2].decode())
"""


def _enter(netns: str, *command: str) -> subprocess.CompletedProcess[str]:
    full = ["nsenter", f"--net=/run/netns/{netns}", *command]
    return subprocess.run(full, capture_output=True, text=True, timeout=30, check=False)


def ask(netns: str, address: str, kind: str = "tcp", size: int = 10) -> str:
    """Send `size` bytes and have them back; the address that the other side saw, or nothing when it failed."""
    for _ in range(3):  # the first packet to a new neighbour may be lost
        done = _enter(netns, sys.executable, "-IS", "-c", CLIENT, kind, address, str(size))
        if done.returncode == 0:
            return done.stdout.strip()
    return ""


class Place:
    """Somewhere with an address and a server."""

    def __init__(self, netns: str, address: str) -> None:
        self.netns, self.address = netns, address
        self._server = subprocess.Popen(["nsenter", f"--net=/run/netns/{netns}", sys.executable, "-IS", "-c", SERVER])

    def stop(self) -> None:
        self._server.kill()
        self._server.wait(10)
