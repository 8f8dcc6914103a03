# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""Files of the control machine that are too large to be part of a request."""

from __future__ import annotations

from functools import lru_cache
from hashlib import sha256
from pathlib import Path

LARGE = 1 << 20
"""Bytes from which on a file is sent by itself, and only to hosts that lack it."""


def digest_of(path: str) -> str:
    """The sha256 of a file; read once in a process as long as it stays the same."""
    status = Path(path).stat()
    return _digest(path, status.st_size, status.st_mtime_ns)


@lru_cache(maxsize=64)
def _digest(path: str, size: int, mtime: int) -> str:
    with Path(path).open("rb") as stream:
        whole = sha256()
        while block := stream.read(LARGE):
            whole.update(block)
    return whole.hexdigest()
