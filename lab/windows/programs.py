# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""The work of the programs that are stand-ins (`stub/program_stub.c`): each connection is one that runs."""

from __future__ import annotations

import logging
import ntpath
import socket
import socketserver
import struct
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Protocol

LOG = logging.getLogger(__name__)
SERVICE_SPECIFIC = 1066
"""ERROR_SERVICE_SPECIFIC_ERROR; what was wrong stands in the log."""


class Work(Protocol):
    """What a service does until it is stopped; when it returns or fails before, that is a crash."""

    def run(self, stop: threading.Event) -> None: ...


class Refused(Exception):
    """A program does not start with these arguments; the message says why."""


Maker = Callable[[list[str]], Work]


class Programs(socketserver.ThreadingTCPServer):
    """Serves the stubs. `services` makes the work of a service from its arguments; it raises Refused."""

    allow_reuse_address = True
    daemon_threads = True

    def __init__(self, services: Mapping[str, Maker]) -> None:
        self.services = services
        self.started: list[list[str]] = []
        """Command lines of the services that were started."""
        super().__init__(("127.0.0.1", 0), _Program)

    @property
    def place(self) -> str:
        """What standin-programs.txt has to say."""
        return f"127.0.0.1:{self.server_address[1]}"


class _Program(socketserver.BaseRequestHandler):
    server: Programs
    request: socket.socket

    def handle(self) -> None:
        (length,) = struct.unpack("<I", self._bytes(4))
        request = self._bytes(length).decode(errors="replace")
        kind, words = request[0], split(request[1:])
        if kind == "C":
            name = program(words)
            self._reply(0 if "--version" in words else 1, f"{name} (stand-in of the lab) {' '.join(words[1:])}\n")
            return
        name, words = hosted(words)
        try:
            maker = self.server.services.get(name)
            if maker is None:
                raise Refused(f"nobody has modelled the service {name}")
            work = maker(words)
        except Refused as error:
            LOG.error("%s does not start: %s", name, error)
            self._reply(SERVICE_SPECIFIC, str(error))
            return
        LOG.info("%s starts: %s", name, " ".join(words))
        self.server.started.append(words)
        self._reply(0, "")
        self._run(name, work)

    def _run(self, name: str, work: Work) -> None:
        stop = threading.Event()

        def watch() -> None:
            # The stub says nothing more: reading ends when it is told to stop, or killed.
            with suppress(OSError):
                while self.request.recv(1):
                    pass
            stop.set()

        threading.Thread(target=watch, name=f"{name} watch", daemon=True).start()
        try:
            work.run(stop)
            LOG.info("%s has stopped", name)
        except Exception:
            LOG.exception("%s crashed", name)
        finally:
            # The service sees that the connection is closed; when it was not told to stop, it ends as crashed.
            with suppress(OSError):
                self.request.shutdown(socket.SHUT_RDWR)

    def _reply(self, code: int, text: str) -> None:
        content = text.encode()
        self.request.sendall(struct.pack("<II", code, len(content)) + content)

    def _bytes(self, count: int) -> bytes:
        received = bytearray()
        while len(received) < count:
            part = self.request.recv(count - len(received))
            if not part:
                raise ConnectionError("the program ended in the middle of its request")
            received += part
        return bytes(received)


def program(words: list[str]) -> str:
    """`kubelet` for a path of kubelet.exe."""
    return ntpath.splitext(ntpath.basename(words[0]))[0].lower() if words else ""


def hosted(words: list[str]) -> tuple[str, list[str]]:
    """Which program a command line is about: kube-log-runner only keeps the log of the one behind its own options."""
    while program(words) == "kube-log-runner":
        rest = words[1:]
        while rest and rest[0].startswith("-"):
            rest = rest[1:] if "=" in rest[0] or rest[0].lstrip("-") in ("also-stdout", "redirect-stderr") else rest[2:]
        words = rest
    return program(words), words


def split(line: str) -> list[str]:
    """A Windows command line in words (CommandLineToArgvW)."""
    words: list[str] = []
    word, quoted, begun, at = "", False, False, 0
    while at < len(line):
        sign = line[at]
        backslashes = 0
        while at < len(line) and line[at] == "\\":
            backslashes, at = backslashes + 1, at + 1
        if backslashes:
            quote = at < len(line) and line[at] == '"'
            word += "\\" * (backslashes // 2 if quote else backslashes)
            begun = True
            if quote and backslashes % 2:
                word, at = word + '"', at + 1
            continue
        at += 1
        if sign == '"':
            quoted, begun = not quoted, True
        elif sign in " \t" and not quoted:
            if begun:
                words.append(word)
            word, begun = "", False
        else:
            word, begun = word + sign, True
    return [*words, word] if begun else words
