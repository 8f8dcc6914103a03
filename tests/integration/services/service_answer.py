# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""Servers that say who they are and whom they see, and clients that ask them.

service_answer.py serve NAME PROTOCOL:PORT…          answers `NAME ADDRESS` to whatever comes
service_answer.py ask PROTOCOL ADDRESS PORT [SOURCE PORT [SOURCE]]   prints the answer, or `refused`, or `silence`
service_answer.py keep PROTOCOL ADDRESS PORT         the same for each line of standard input, on one socket

SCTP is an INIT chunk in a raw packet (RFC 9260): kernels without the protocol can ask and answer that, too.
"""

from __future__ import annotations

import selectors
import socket
import struct
import sys
import threading

SCTP = 132
PATIENCE_S = 1.5


def main() -> None:
    command, *rest = sys.argv[1:]
    if command == "serve":
        serve(rest[0], rest[1:])
    elif command == "keep":
        keep(rest[0], rest[1], int(rest[2]))
    else:
        own = (rest[4] if rest[4:] else "", int(rest[3]) if rest[3:] else 0)
        sys.stdout.write(ask(rest[0], rest[1], int(rest[2]), own) + "\n")


def serve(name: str, ports: list[str]) -> None:
    listening = selectors.DefaultSelector()
    sctp: set[int] = set()
    for entry in ports:
        protocol, port = entry.split(":")
        if protocol == "sctp":
            sctp.add(int(port))
            continue
        one = socket.socket(type=socket.SOCK_STREAM if protocol == "tcp" else socket.SOCK_DGRAM)
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        one.bind(("", int(port)))
        if protocol == "tcp":
            one.listen(64)
        listening.register(one, selectors.EVENT_READ)
    if sctp:
        raw = socket.socket(socket.AF_INET, socket.SOCK_RAW, SCTP)
        listening.register(raw, selectors.EVENT_READ)
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    while True:
        for key, _ in listening.select():
            one = key.fileobj
            assert isinstance(one, socket.socket)
            if one.type == socket.SOCK_RAW:
                data, peer = one.recvfrom(2000)
                source, target, kind = chunk_of(data)
                if kind == 1 and target in sctp:
                    one.sendto(sctp_packet(target, source, 2, name.encode()), peer)
            elif one.type == socket.SOCK_DGRAM:
                _, peer = one.recvfrom(2000)
                one.sendto(f"{name} {peer[0]}".encode(), peer)
            else:
                connection, peer = one.accept()
                threading.Thread(target=talk, args=(connection, f"{name} {peer[0]}"), daemon=True).start()


def talk(connection: socket.socket, text: str) -> None:
    with connection:
        try:
            while connection.recv(100):
                connection.sendall(text.encode())
        except OSError:
            pass


def ask(protocol: str, address: str, port: int, own: tuple[str, int]) -> str:
    if protocol == "sctp":
        return ask_sctp(address, port)
    with socket.socket(type=socket.SOCK_STREAM if protocol == "tcp" else socket.SOCK_DGRAM) as one:
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        one.bind(own)
        answer = converse(one, address, port)
        if protocol == "udp" and answer == "silence":  # a datagram may get lost, so whoever wants an answer asks again
            answer = converse(one)
        return answer


def converse(one: socket.socket, address: str = "", port: int = 0) -> str:
    one.settimeout(PATIENCE_S)
    try:
        if address:
            one.connect((address, port))
        one.send(b"x")
        return one.recv(200).decode() or "closed"
    except (ConnectionRefusedError, ConnectionResetError):
        return "refused"
    except TimeoutError:
        return "silence"
    except OSError as error:
        return f"error {error}"


def keep(protocol: str, address: str, port: int) -> None:
    """One socket for all questions."""
    with socket.socket(type=socket.SOCK_STREAM if protocol == "tcp" else socket.SOCK_DGRAM) as one:
        first = True
        for _ in sys.stdin:
            sys.stdout.write((converse(one, address, port) if first else converse(one)) + "\n")
            sys.stdout.flush()
            first = False


def ask_sctp(address: str, port: int) -> str:
    with socket.socket(socket.AF_INET, socket.SOCK_RAW, SCTP) as raw:
        raw.settimeout(PATIENCE_S)
        raw.connect((address, 0))  # takes answers of that address only
        try:
            raw.send(sctp_packet(40000 + port, port, 1, b""))
            while True:
                data = raw.recv(2000)
                source, target, kind = chunk_of(data)
                if (source, target, kind) == (port, 40000 + port, 2):
                    begin = (data[0] & 15) * 4 + 12 + 20
                    (length,) = struct.unpack("!H", data[begin - 18 : begin - 16])
                    return data[begin : begin - 20 + length].decode()
        except ConnectionRefusedError:
            return "refused"
        except TimeoutError:
            return "silence"


def chunk_of(packet: bytes) -> tuple[int, int, int]:
    """Source port, destination port and kind of the first chunk of an IPv4 packet with SCTP in it."""
    begin = (packet[0] & 15) * 4
    source, target = struct.unpack("!HH", packet[begin : begin + 4])
    return source, target, packet[begin + 12]


def sctp_packet(source: int, target: int, kind: int, more: bytes) -> bytes:
    """An INIT (1) or INIT ACK (2) chunk. `more` stands where parameters would."""
    tag = 0 if kind == 1 else 1
    chunk = struct.pack("!BBHIIHHI", kind, 0, 20 + len(more), 1, 65535, 1, 1, 1) + more
    chunk += bytes(-len(chunk) % 4)
    head = struct.pack("!HHI", source, target, tag)
    return head + struct.pack("<I", crc32c(head + bytes(4) + chunk)) + chunk


def crc32c(data: bytes) -> int:
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


if __name__ == "__main__":
    main()
