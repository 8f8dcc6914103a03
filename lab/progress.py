# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""Telling a person what runs and how long it took."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager


class _Terminal:
    """Standard error, where the time of a step goes on its own line unless something else was said meanwhile."""

    def __init__(self) -> None:
        self.open: str | None = None

    def line(self, text: str) -> None:
        """A whole line."""
        print(f"{'' if self.open is None else chr(10)}lab: {text}", file=sys.stderr, flush=True)
        self.open = None

    def begin(self, what: str) -> None:
        """A line that may be completed."""
        if sys.stderr.isatty():
            self._begin(what)
        else:
            self.line(f"{what} ...")

    def _begin(self, what: str) -> None:
        print(f"{'' if self.open is None else chr(10)}lab: {what} ... ", end="", file=sys.stderr, flush=True)
        self.open = what

    def end(self, what: str, how: str) -> None:
        """The end of the line that ``begin`` has begun, or a line of its own."""
        if self.open == what:
            print(how, file=sys.stderr, flush=True)
            self.open = None
        else:
            self.line(f"{what}: {how}")


_terminal = _Terminal()


def say(message: str) -> None:
    """One line that is seen at once."""
    _terminal.line(message)


@contextmanager
def step(what: str) -> Iterator[None]:
    """Print what starts and, when it has ended, the seconds it took."""
    begun = time.monotonic()
    _terminal.begin(what)
    try:
        yield
    except BaseException:
        _terminal.end(what, "failed")
        raise
    _terminal.end(what, f"{time.monotonic() - begun:.1f} s")
