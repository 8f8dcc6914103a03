# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""Echo server and client for the traffic tests: the server answers with the address and port that it sees.

echo.py serve PROTOCOL ADDRESS PORT
echo.py ask PROTOCOL LOCAL_PORT ADDRESS PORT SECONDS      one JSON object
"""

from __future__ import annotations

import json
import socket
import sys
import threading
import time

KINDS = {"tcp": socket.SOCK_STREAM, "udp": socket.SOCK_DGRAM}


def serve(protocol: str, address: str, port: int) -> None:
    if protocol == "udp":
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
            server.bind((address, port))
            while True:
                _, peer = server.recvfrom(2048)
                server.sendto(f"{peer[0]}:{peer[1]}".encode(), peer)
    with socket.create_server((address, port), backlog=64) as server:
        while True:
            connection, peer = server.accept()
            threading.Thread(target=answer, args=(connection, f"{peer[0]}:{peer[1]}"), daemon=True).start()


def answer(connection: socket.socket, peer: str) -> None:
    with connection:
        while connection.recv(1):
            connection.sendall(peer.ljust(32).encode())


def ask(protocol: str, local_port: int, address: str, port: int, seconds: float) -> None:
    """Ask every 50 ms; a TCP question may wait long, a datagram is asked again."""
    seen: set[str] = set()
    questions = longest = 0.0
    error = ""
    with socket.socket(socket.AF_INET, KINDS[protocol]) as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        client.settimeout(1.0 if protocol == "udp" else 15.0)
        end = time.monotonic() + seconds
        try:
            if local_port:
                client.bind(("", local_port))
            client.connect((address, port))
            while True:
                asked = time.monotonic()
                for attempt in range(4):
                    try:
                        client.send(b"x")
                        seen.add(receive(client, protocol))
                        break
                    except TimeoutError:
                        if protocol == "tcp" or attempt == 3:
                            raise
                questions += 1
                longest = max(longest, time.monotonic() - asked)
                if time.monotonic() > end:
                    break
                time.sleep(0.05)
        except OSError as failure:
            error = f"{type(failure).__name__}: {failure}"
    print(json.dumps({"seen": sorted(seen), "questions": questions, "longest": longest, "error": error}))


def receive(client: socket.socket, protocol: str) -> str:
    if protocol == "udp":
        return client.recv(64).decode()
    data = b""
    while len(data) < 32:
        part = client.recv(32 - len(data))
        if not part:
            raise ConnectionResetError("the server has closed the connection")
        data += part
    return data.decode().strip()


if __name__ == "__main__":
    if sys.argv[1] == "serve":
        serve(sys.argv[2], sys.argv[3], int(sys.argv[4]))
    else:
        ask(sys.argv[2], int(sys.argv[3]), sys.argv[4], int(sys.argv[5]), float(sys.argv[6]))
