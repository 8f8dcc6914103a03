# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""Telling a person what runs and how long it took."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager


def say(message: str) -> None:
    """One line that is seen at once."""
    print(f"lab: {message}", file=sys.stderr, flush=True)


@contextmanager
def step(what: str) -> Iterator[None]:
    """Print what starts and, when it has ended, the seconds it took."""
    terminal = sys.stderr.isatty()
    begun = time.monotonic()
    if terminal:
        print(f"lab: {what} ... ", end="", file=sys.stderr, flush=True)
    else:
        say(f"{what} ...")
    try:
        yield
    except BaseException:
        print("failed" if terminal else f"lab: {what}: failed", file=sys.stderr, flush=True)
        raise
    seconds = time.monotonic() - begun
    print(f"{seconds:.1f} s" if terminal else f"lab: {what}: {seconds:.1f} s", file=sys.stderr, flush=True)
