# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""The named pipe of the Docker Engine as a connection. Windows only."""

from __future__ import annotations

import io
import time
from typing import Any

import pywintypes
import win32event
import win32file
import winerror

CONNECT_SECONDS = 5.0
ANSWER_SECONDS = 30.0
BUSY_SECONDS = 0.05
CLOSED = frozenset({winerror.ERROR_BROKEN_PIPE, winerror.ERROR_PIPE_NOT_CONNECTED, winerror.ERROR_NO_DATA})


class PipeStream:
    """A client's end of a pipe, with what http.client wants of a socket.

    As a socket, it stays open until it and all files made of it are closed; `abort` may be called by any thread.
    """

    def __init__(self, path: str, seconds: float | None) -> None:
        """`seconds`: how long a read may take; None for ever. Raises OSError."""
        self._milliseconds = win32event.INFINITE if seconds is None else int(seconds * 1000)
        self._aborted = win32event.CreateEvent(None, True, False, None)
        self._done = win32event.CreateEvent(None, True, False, None)
        self._files = 0
        self._closed = False
        self._pipe: Any = _opened(path)

    def sendall(self, data: bytes) -> None:
        """Write everything. Raises OSError."""
        overlapped = self._overlapped()
        try:
            win32file.WriteFile(self._pipe, data, overlapped)
        except pywintypes.error as error:
            raise OSError(f"the pipe is closed: {error.strerror}") from error
        self._finished(overlapped, int(ANSWER_SECONDS * 1000))

    def makefile(self, mode: str) -> io.BufferedReader:
        """What is read from the pipe, as a file."""
        self._files += 1
        return io.BufferedReader(_Reading(self))

    def read_some(self, count: int) -> bytes:
        """At most so many bytes; none at the end. Raises OSError."""
        overlapped = self._overlapped()
        buffer = win32file.AllocateReadBuffer(count)
        try:
            win32file.ReadFile(self._pipe, buffer, overlapped)
        except pywintypes.error as error:
            if error.winerror in CLOSED:
                return b""
            raise OSError(f"the pipe cannot be read: {error.strerror}") from error
        length = self._finished(overlapped, self._milliseconds)
        return bytes(buffer[:length])

    def close(self) -> None:
        """The owner is done with it."""
        self._closed = True
        self._settle()

    def file_closed(self) -> None:
        """A file that was made of it is closed."""
        self._files -= 1
        self._settle()

    def abort(self) -> None:
        """Let what waits for it fail."""
        win32event.SetEvent(self._aborted)

    def _settle(self) -> None:
        if self._closed and not self._files and self._pipe is not None:
            self._pipe.Close()
            self._pipe = None

    def _overlapped(self) -> Any:
        overlapped = pywintypes.OVERLAPPED()
        win32event.ResetEvent(self._done)
        overlapped.hEvent = self._done
        return overlapped

    def _finished(self, overlapped: Any, milliseconds: int) -> int:
        waited = win32event.WaitForMultipleObjects([self._aborted, self._done], False, milliseconds)
        if waited != win32event.WAIT_OBJECT_0 + 1:
            win32file.CancelIo(self._pipe)
            silent = waited == win32event.WAIT_TIMEOUT
            raise TimeoutError("the Engine is silent") if silent else OSError("given up")
        try:
            return int(win32file.GetOverlappedResult(self._pipe, overlapped, True))
        except pywintypes.error as error:
            if error.winerror in CLOSED:
                return 0
            raise OSError(f"the pipe broke: {error.strerror}") from error


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


def _opened(path: str) -> Any:
    deadline = time.monotonic() + CONNECT_SECONDS
    while True:
        try:
            return win32file.CreateFile(
                path,
                win32file.GENERIC_READ | win32file.GENERIC_WRITE,
                0,
                None,
                win32file.OPEN_EXISTING,
                win32file.FILE_FLAG_OVERLAPPED,
                None,
            )
        except pywintypes.error as error:
            if error.winerror != winerror.ERROR_PIPE_BUSY or time.monotonic() > deadline:
                raise OSError(f"{path}: {error.strerror}; does the Docker Engine run?") from error
        time.sleep(BUSY_SECONDS)
