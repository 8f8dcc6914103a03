# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""One operation at a time on each pod interface; a removal makes a running attachment give up."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager


class Turn:
    """One operation's right to work on an interface."""

    def __init__(self) -> None:
        self.cancelled = False


class Turns:
    """Hands out turns by name.

    Args:
        wake: called when a turn has been cancelled, so that its holder's waits look again.
    """

    def __init__(self, wake: Callable[[], None]) -> None:
        self._wake = wake
        self._freed = threading.Condition()
        self._holders: dict[str, Turn] = {}

    @contextmanager
    def take(self, name: str, timeout: float, *, cancel: bool = False) -> Iterator[Turn]:
        """Wait for the turn on `name`; with `cancel`, tell who has it to stop.

        Raises:
            TimeoutError: it was not free within `timeout` seconds.
        """
        turn = Turn()
        if cancel and self._cancel(name):
            self._wake()
        with self._freed:
            if not self._freed.wait_for(lambda: name not in self._holders, timeout):
                raise TimeoutError(f"another operation on interface {name} is still running")
            self._holders[name] = turn
        try:
            yield turn
        finally:
            with self._freed:
                del self._holders[name]
                self._freed.notify_all()

    def _cancel(self, name: str) -> bool:
        with self._freed:
            holder = self._holders.get(name)
            if holder is None:
                return False
            holder.cancelled = True
            return True
