# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""The emulated Host Network Service behind the libraries of `stub/`, on a loopback port.

As a program: `python -m lab.windows.hcn_emulator --state FILE [--port N]`; it prints its port.
"""

from __future__ import annotations

import argparse
import contextlib
import socket
import socketserver
import struct
import threading
from pathlib import Path

from .hcn_model import Model

MOST_FIELDS = 8
MOST_BYTES = 16 << 20


class Emulator(socketserver.ThreadingTCPServer):
    """Answers the libraries. Calls are carried out one after the other, but one that hangs holds up nobody else."""

    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 64

    def __init__(self, model: Model, port: int = 0) -> None:
        self.model = model
        self.lock = threading.Lock()
        super().__init__(("127.0.0.1", port), _Conversation)

    @property
    def place(self) -> str:
        """What OVN_K8S_HCN_EMULATOR has to be."""
        return f"127.0.0.1:{self.server_address[1]}"

    def answer(self, fields: list[str]) -> list[str]:
        """The reply to one call: HRESULT, handle, value, error record."""
        function, guid, handle, text, *more = fields
        fault = self.model.faults.get(function)
        if fault is not None and fault.times and fault.seconds:
            code, new, value, record = self.model.call(function, guid, int(handle), text, *more)
        else:
            with self.lock:
                code, new, value, record = self.model.call(function, guid, int(handle), text, *more)
        return [f"{code:08x}", str(new), value, record]


class _Conversation(socketserver.BaseRequestHandler):
    server: Emulator
    request: socket.socket

    def handle(self) -> None:
        with contextlib.suppress(ConnectionError):  # its program was ended
            self._converse()

    def _converse(self) -> None:
        while fields := self._fields():
            reply = [part.encode() for part in self.server.answer(fields)]
            packed = b"".join(struct.pack("<I", len(part)) + part for part in reply)
            self.request.sendall(struct.pack("<I", len(reply)) + packed)

    def _fields(self) -> list[str]:
        """One call; none at the end."""
        start = self.request.recv(4)
        if not start:
            return []
        (count,) = struct.unpack("<I", start + self._bytes(4 - len(start)))
        if not 4 <= count <= MOST_FIELDS:
            return []
        fields = []
        for _ in range(count):
            (length,) = struct.unpack("<I", self._bytes(4))
            if length > MOST_BYTES:
                return []
            fields.append(self._bytes(length).decode())
        return fields

    def _bytes(self, count: int) -> bytes:
        received = bytearray()
        while len(received) < count:
            part = self.request.recv(count - len(received))
            if not part:
                raise ConnectionError("the library closed the connection in the middle of a call")
            received += part
        return bytes(received)


def main() -> None:
    """Run until stopped."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--state", type=Path, required=True)
    parser.add_argument("--port", type=int, default=0)
    options = parser.parse_args()
    with Emulator(Model(options.state), options.port) as emulator:
        print(emulator.place, flush=True)
        emulator.serve_forever()


if __name__ == "__main__":
    main()
