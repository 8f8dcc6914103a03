# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
r"""The named pipe of the emulated Docker Engine, for the bundle's Python under Wine: `docker_pipe.py PORT [PIPE]`.

It serves \\.\pipe\docker_engine as the Engine does, a byte stream for each client, and hands the bytes to and from the
loopback port of `docker_engine.py`.
"""

import contextlib
import logging
import socket
import sys
import threading
from typing import Any

import pywintypes
import win32event
import win32file
import win32pipe
import winerror

LOG = logging.getLogger(__name__)
PIPE = r"\\.\pipe\docker_engine"
BUFFER = 1 << 16


def _instance(name: str, flags: int = 0) -> Any:
    return win32pipe.CreateNamedPipe(
        name,
        win32pipe.PIPE_ACCESS_DUPLEX | win32file.FILE_FLAG_OVERLAPPED | flags,
        win32pipe.PIPE_TYPE_BYTE | win32pipe.PIPE_READMODE_BYTE | win32pipe.PIPE_WAIT,
        win32pipe.PIPE_UNLIMITED_INSTANCES,
        BUFFER,
        BUFFER,
        0,
        None,
    )


def _overlapped() -> Any:
    overlapped = pywintypes.OVERLAPPED()
    overlapped.hEvent = win32event.CreateEvent(None, True, False, None)
    return overlapped


def _request(pipe: Any) -> bytes:
    """What a client asks, to the end of its headers: nothing that the Engine answers here has a body."""
    request = b""
    while not request.endswith(b"\r\n\r\n"):
        overlapped = _overlapped()
        buffer = win32file.AllocateReadBuffer(BUFFER)
        win32file.ReadFile(pipe, buffer, overlapped)
        count = win32file.GetOverlappedResult(pipe, overlapped, True)
        if not count:
            break
        request += bytes(buffer[:count])
    return request


def _converse(pipe: Any, port: int) -> None:
    """One request and its answer. No read is under way when the pipe is closed, which Wine 8 does not survive."""
    try:
        request = _request(pipe)
        with socket.create_connection(("127.0.0.1", port)) as engine:
            engine.sendall(request)
            while content := engine.recv(BUFFER):
                overlapped = _overlapped()
                win32file.WriteFile(pipe, content, overlapped)
                win32file.GetOverlappedResult(pipe, overlapped, True)
        win32file.FlushFileBuffers(pipe)
    except (pywintypes.error, OSError) as error:
        LOG.debug("a client has gone: %s", error)
    finally:
        with contextlib.suppress(pywintypes.error):
            win32pipe.DisconnectNamedPipe(pipe)
        pipe.Close()


def main() -> None:
    """Serve until it is ended."""
    port = int(sys.argv[1])
    name = sys.argv[2] if len(sys.argv) > 2 else PIPE
    waiting = _instance(name, 0x00080000)
    print("listening", flush=True)
    while True:
        overlapped = _overlapped()
        if win32pipe.ConnectNamedPipe(waiting, overlapped) != winerror.ERROR_PIPE_CONNECTED:
            win32event.WaitForSingleObject(overlapped.hEvent, win32event.INFINITE)
        client, waiting = waiting, _instance(name)
        threading.Thread(target=_converse, args=(client, port), daemon=True).start()


if __name__ == "__main__":
    main()
