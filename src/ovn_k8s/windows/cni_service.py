# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""The service's side of the CNI pipe. Only administrators and SYSTEM of this machine may ask."""

from __future__ import annotations

import logging
import threading
from typing import Any

import pywintypes
import win32con
import win32event
import win32file
import win32pipe
import win32security
import winerror

from ovn_k8s.cni.answer import Handler, answer
from ovn_k8s.core.hns.errors import HnsError

from .cni_pipe import LONGEST, PIPE, packed, received

LOG = logging.getLogger(__name__)

READ_MS = 10_000
ADMINISTRATORS_ONLY = "D:P(A;;GA;;;SY)(A;;GA;;;BA)"
"""SDDL: full access for SYSTEM and the administrators, none for anybody else."""
LOG_NAME = "the log of the service ovn-k8s"
BUFFER = 1 << 16
FIRST_INSTANCE = 0x00080000
REJECT_REMOTE = 0x00000008


class PipeTaken(HnsError):
    """Another program has the pipe."""


class CniService:
    """Serves the pipe until it is stopped; one thread for a request."""

    def __init__(self, handler: Handler) -> None:
        """Raises PipeTaken."""
        self._handler = handler
        self._stop = win32event.CreateEvent(None, True, False, None)
        self._security = win32security.SECURITY_ATTRIBUTES()
        descriptor = win32security.ConvertStringSecurityDescriptorToSecurityDescriptor(
            ADMINISTRATORS_ONLY, win32security.SDDL_REVISION_1
        )
        self._security.SECURITY_DESCRIPTOR = descriptor
        try:
            self._next = self._instance(FIRST_INSTANCE)
        except pywintypes.error as error:
            raise PipeTaken(f"{PIPE} cannot be made ({error.strerror}); does another ovn-k8s run?") from error

    def _instance(self, flags: int = 0) -> Any:
        return win32pipe.CreateNamedPipe(
            PIPE,
            win32pipe.PIPE_ACCESS_DUPLEX | win32file.FILE_FLAG_OVERLAPPED | flags,
            win32pipe.PIPE_TYPE_BYTE | win32pipe.PIPE_READMODE_BYTE | win32pipe.PIPE_WAIT | REJECT_REMOTE,
            win32pipe.PIPE_UNLIMITED_INSTANCES,
            BUFFER,
            BUFFER,
            0,
            self._security,
        )

    def serve(self) -> None:
        """Answer until `stop`."""
        while (connected := self._connected(self._next)) is not None:
            client = self._next
            # Made before the client is served, so that there is always one that listens.
            self._next = self._instance()
            if connected:
                threading.Thread(target=self._converse, args=(client,), name="cni", daemon=True).start()
            else:
                client.Close()
        self._next.Close()

    def stop(self) -> None:
        """End `serve`; requests that are carried out go on."""
        win32event.SetEvent(self._stop)

    def _connected(self, pipe: Any) -> bool | None:
        """Wait for a client: True when there is one, False when it has gone again, None when it is time to stop."""
        overlapped = _overlapped()
        try:
            code = win32pipe.ConnectNamedPipe(pipe, overlapped)
        except pywintypes.error as error:
            if error.winerror != winerror.ERROR_NO_DATA:
                raise
            LOG.warning("a client of the pipe went before it was served")
            return False
        if code == winerror.ERROR_PIPE_CONNECTED:
            return True
        waited = win32event.WaitForMultipleObjects([self._stop, overlapped.hEvent], False, win32event.INFINITE)
        return None if waited == win32event.WAIT_OBJECT_0 else True

    def _converse(self, pipe: Any) -> None:
        try:
            code, stdout = answer(received(lambda count: _read(pipe, count)), self._handler, LOG_NAME)
            _write(pipe, packed({"code": code, "stdout": stdout}))
            win32file.FlushFileBuffers(pipe)
        except (pywintypes.error, ValueError) as error:
            LOG.warning("a request could not be read or answered: %s", error)
        finally:
            win32pipe.DisconnectNamedPipe(pipe)
            pipe.Close()


def _overlapped() -> Any:
    overlapped = pywintypes.OVERLAPPED()
    overlapped.hEvent = win32event.CreateEvent(None, True, False, None)
    return overlapped


def _read(pipe: Any, count: int) -> bytes:
    overlapped = _overlapped()
    buffer = win32file.AllocateReadBuffer(min(count, LONGEST))
    win32file.ReadFile(pipe, buffer, overlapped)
    length = _finished(pipe, overlapped)
    return bytes(buffer[:length])


def _write(pipe: Any, content: bytes) -> None:
    overlapped = _overlapped()
    win32file.WriteFile(pipe, content, overlapped)
    _finished(pipe, overlapped)


def _finished(pipe: Any, overlapped: Any) -> int:
    if win32event.WaitForSingleObject(overlapped.hEvent, READ_MS) == win32con.WAIT_TIMEOUT:
        win32file.CancelIo(pipe)
        raise ValueError(f"the other side was silent for {READ_MS // 1000} s")
    return int(win32file.GetOverlappedResult(pipe, overlapped, True))
