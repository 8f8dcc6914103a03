# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""The named pipe of the Docker Engine as a connection. Windows only.

A read of a pipe cannot be given a time limit, nor can another thread end it. So it is only done when PeekNamedPipe says
that there is something to read.
"""

from __future__ import annotations

import ctypes
import io
import msvcrt
import threading
import time
from typing import Any

from .named_pipe import opened

CONNECT_SECONDS = 5.0
ANSWER_SECONDS = 30.0
LOOK_SECONDS = 0.05
"""How often an idle pipe is looked at."""

BROKEN_PIPE, PIPE_NOT_CONNECTED = 109, 233

_KERNEL = ctypes.WinDLL("kernel32", use_last_error=True)  # type: ignore[attr-defined]
_PEEK = _KERNEL.PeekNamedPipe
_PEEK.argtypes = (ctypes.c_void_p, ctypes.c_void_p, ctypes.c_uint32, *[ctypes.POINTER(ctypes.c_uint32)] * 3)
_PEEK.restype = ctypes.c_int32


class PipeStream:
    """A client's end of a pipe, with what http.client wants of a socket.

    As a socket, it stays open until it and all files made of it are closed; `abort` may be called by any thread.
    """

    def __init__(self, path: str, seconds: float | None) -> None:
        """`seconds`: how long a read may take; None for ever. Raises OSError."""
        self._seconds = seconds
        self._aborted = threading.Event()
        self._files = 0
        self._closed = False
        self._pipe = opened(path, CONNECT_SECONDS)

    def sendall(self, data: bytes) -> None:
        """Write everything. Raises OSError."""
        left = memoryview(data)
        while left:
            left = left[self._pipe.write(left) or 0 :]

    def makefile(self, mode: str) -> io.BufferedReader:
        """What is read from the pipe, as a file."""
        self._files += 1
        return io.BufferedReader(_Reading(self))

    def read_some(self, count: int) -> bytes:
        """At most so many bytes; none at the end. Raises OSError."""
        deadline = None if self._seconds is None else time.monotonic() + self._seconds
        while not (waiting := self._waiting()):
            if waiting is None:
                return b""
            if deadline is not None and time.monotonic() > deadline:
                raise TimeoutError(f"the Engine has been silent for {self._seconds:g} s")
            if self._aborted.wait(LOOK_SECONDS):
                raise OSError("given up")
        return self._pipe.read(min(count, waiting)) or b""

    def close(self) -> None:
        """The owner is done with it."""
        self._closed = True
        self._settle()

    def file_closed(self) -> None:
        """A file that was made of it is closed."""
        self._files -= 1
        self._settle()

    def abort(self) -> None:
        """Let a read that waits fail."""
        self._aborted.set()

    def _settle(self) -> None:
        if self._closed and not self._files:
            self._pipe.close()

    def _waiting(self) -> int | None:
        """How many bytes can be read at once; None when the other end is closed and all is read."""
        there = ctypes.c_uint32()
        handle = msvcrt.get_osfhandle(self._pipe.fileno())  # type: ignore[attr-defined]
        if _PEEK(handle, None, 0, None, ctypes.byref(there), None):
            return there.value
        code = ctypes.get_last_error()  # type: ignore[attr-defined]
        if code in (BROKEN_PIPE, PIPE_NOT_CONNECTED):
            return None
        raise OSError(f"the pipe cannot be read: error {code}")


class _Reading(io.RawIOBase):
    def __init__(self, stream: PipeStream) -> None:
        super().__init__()
        self._stream = stream

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        content = self._stream.read_some(len(buffer))
        buffer[: len(content)] = content
        return len(content)

    def close(self) -> None:
        if not self.closed:
            super().close()
            self._stream.file_closed()


class DockerPipe:
    """Opens connections to the Engine, and ends those that wait when the service stops."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._patient: PipeStream | None = None

    def __call__(self, patient: bool) -> PipeStream:
        """For `docker_api.Docker`. Raises OSError."""
        stream = PipeStream(self._path, None if patient else ANSWER_SECONDS)
        if patient:
            self._patient = stream
        return stream

    def stop(self) -> None:
        """End the stream of events."""
        if self._patient is not None:
            self._patient.abort()
