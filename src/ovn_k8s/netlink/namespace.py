# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""Running a function inside another network namespace.

A network namespace belongs to a thread, so a thread of its own enters it and ends there; no process is forked and
the caller's namespace never changes.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")

_CLONE_NEWNET = 0x40000000
_NS_GET_NSTYPE = 0xB703
_libc = ctypes.CDLL(None, use_errno=True)


class NamespaceError(OSError):
    """The path is not a network namespace that can be used; the message says why."""


class Namespace:
    """An open network namespace (a file below /run/netns or /proc/<pid>/ns/net). Closed at the end of `with`."""

    def __init__(self, path: str) -> None:
        """Open `path`.

        Raises:
            FileNotFoundError: there is no such file.
            NamespaceError: it cannot be opened, or is the namespace that we are in ourselves.
        """
        self.path = path
        try:
            self.fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            raise
        except OSError as error:
            raise NamespaceError(error.errno, f"network namespace {path}: {error.strerror}") from error
        try:
            self._check()
        except NamespaceError:
            os.close(self.fd)
            raise

    def _check(self) -> None:
        try:
            kind = fcntl.ioctl(self.fd, _NS_GET_NSTYPE)
        except OSError:
            kind = 0
        if kind != _CLONE_NEWNET:
            raise NamespaceError(errno.EINVAL, f"{self.path} is not a network namespace")
        own = Path("/proc/self/ns/net").stat()
        this = os.fstat(self.fd)
        if (own.st_dev, own.st_ino) == (this.st_dev, this.st_ino):
            raise NamespaceError(errno.EINVAL, f"network namespace {self.path} is the node's own")

    def __enter__(self) -> Namespace:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self.fd)

    def run(self, function: Callable[[], T]) -> T:
        """The result of `function`, called inside the namespace; what it raises is raised here.

        Raises:
            NamespaceError: the file is not a network namespace (any more).
        """
        results: list[T] = []
        errors: list[BaseException] = []

        def enter() -> None:
            try:
                if _libc.setns(self.fd, _CLONE_NEWNET) != 0:
                    number = ctypes.get_errno()
                    raise NamespaceError(number, f"network namespace {self.path}: {os.strerror(number)}")
                results.append(function())
            except BaseException as error:  # handed to the caller's thread
                errors.append(error)

        thread = threading.Thread(target=enter, name="netns", daemon=True)
        thread.start()
        thread.join()
        if errors:
            raise errors[0]
        return results[0]
