# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""The control socket of a daemon of Open vSwitch or OVN: JSON-RPC with text in and out (ovs-appctl(8))."""

from __future__ import annotations

import time
from types import TracebackType
from typing import Self

from .ovsdb.errors import ConnectionFailed, Timeout
from .ovsdb.remote import Remote
from .ovsdb.stream import JsonStream


class CommandFailed(Exception):
    """The daemon refuses a command; the message is its own."""


class Control:
    """An open control socket.

    Raises:
        ConnectionFailed: nobody listens there.
    """

    def __init__(self, path: str, timeout: float) -> None:
        self._path, self._timeout, self._number = path, timeout, 0
        self._stream = JsonStream(Remote("unix", path).connect(timeout, None), f"unix:{path}")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stream.close()

    def run(self, command: str, *arguments: str) -> str:
        """Carry out a command and return what it prints.

        Raises:
            CommandFailed: the daemon refuses.
            Timeout, ConnectionFailed
        """
        self._number += 1
        self._stream.send({"method": command, "params": list(arguments), "id": self._number})
        deadline = time.monotonic() + self._timeout
        while True:
            try:
                message = self._stream.receive(max(0.0, deadline - time.monotonic()))
            except Timeout:
                raise Timeout(f"unix:{self._path}: no answer to {command!r} within {self._timeout:g} s") from None
            if message.get("id") != self._number:
                continue
            if message.get("error"):
                raise CommandFailed(str(message["error"]).strip())
            if "result" not in message:
                raise ConnectionFailed(f"unix:{self._path}: this is no control socket")
            return str(message["result"])
