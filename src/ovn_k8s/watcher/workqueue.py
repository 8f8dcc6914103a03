# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""Which objects have to be looked at again: each once, however often it changed meanwhile."""

from __future__ import annotations

import heapq
import random
import threading
import time
from collections.abc import Mapping
from itertools import islice
from typing import NamedTuple

FIRST_RETRY_S = 0.05
LONGEST_RETRY_S = 30.0
PATIENT_SHARE = 16
"""Keys without hurry that are taken along with urgent ones, so that they come forward at all times; of a small batch
as large a part as 1 in 16."""

UNSCOPED = frozenset({"node", "gateway", "exit", "egress", "node-ways"})
"""Kinds of objects that are in no namespace."""


class Key(NamedTuple):
    """An object: kind ('pod', 'service', 'node'), namespace, empty for what is in none, and name."""

    kind: str
    namespace: str
    name: str

    def __str__(self) -> str:
        return "/".join(self) if self.namespace else f"{self.kind}/{self.name}"


class WorkQueue:
    """Keys that wait for work, in two ranks: what just happened goes before what is only looked through again.

    A key that is added while it waits stays one entry, with the time at which it was added first. Keys that failed come
    back after a delay that doubles each time up to half a minute, for ever, until `forget`.
    """

    def __init__(self) -> None:
        self._urgent: dict[Key, float] = {}
        self._patient: dict[Key, float] = {}
        self._later: list[tuple[float, Key]] = []
        self._due: dict[Key, float] = {}  # what counts of `_later`: one moment for each key
        self._failures: dict[Key, int] = {}
        self._ready = threading.Condition()
        self._closed = False
        self.retries = 0

    def __len__(self) -> int:
        return len(self._urgent) + len(self._patient)

    @property
    def waiting(self) -> int:
        """Keys that failed and wait for their next attempt."""
        return len(self._due)

    def add(self, key: Key, *, urgent: bool = True) -> None:
        """Have a key worked on."""
        with self._ready:
            self._add(key, time.monotonic(), urgent)
            self._ready.notify()

    def add_all(self, keys: list[Key], *, urgent: bool = False) -> None:
        """Have many keys worked on."""
        now = time.monotonic()
        with self._ready:
            for key in keys:
                self._add(key, now, urgent)
            self._ready.notify()

    def put_back(self, batch: Mapping[Key, float]) -> None:
        """Return keys that were taken and could not be worked on at all, with the time of their arrival."""
        with self._ready:
            self._urgent = {**batch, **self._urgent}
            self._ready.notify()

    def retry(self, key: Key) -> float:
        """Have a key that failed worked on again later; returns after how many seconds."""
        with self._ready:
            failures = self._failures.get(key, 0)
            self._failures[key] = failures + 1
            self.retries += 1
            delay: float = min(FIRST_RETRY_S * 2.0 ** min(failures, 20), LONGEST_RETRY_S) * random.uniform(0.75, 1.25)
            due = time.monotonic() + delay
            self._due[key] = due
            heapq.heappush(self._later, (due, key))
            self._ready.notify()
            return delay

    def forget(self, key: Key) -> None:
        """A key succeeded: its next failure counts as the first."""
        self._failures.pop(key, None)

    def failures(self, key: Key) -> int:
        """How often the key has failed since it last succeeded."""
        return self._failures.get(key, 0)

    def take(self, most: int, timeout: float | None = None) -> dict[Key, float]:
        """Up to `most` keys with the monotonic time of their arrival; waits for the first one.

        Empty when none came within `timeout` seconds, or when the queue is closed.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        with self._ready:
            while True:
                now = time.monotonic()
                while self._later and self._later[0][0] <= now:
                    due, key = heapq.heappop(self._later)
                    if self._due.get(key) == due:
                        del self._due[key]
                        self._add(key, due, False)
                if self._closed:
                    return {}
                if self._urgent or self._patient:
                    kept = min(PATIENT_SHARE, most // PATIENT_SHARE, len(self._patient))
                    taken = {key: self._urgent.pop(key) for key in _first(self._urgent, most - kept)}
                    room = min(most - len(taken), PATIENT_SHARE) if taken else most
                    taken.update((key, self._patient.pop(key)) for key in _first(self._patient, room))
                    return taken
                until = [moment for moment in (deadline, self._later[0][0] if self._later else None) if moment]
                if deadline is not None and now >= deadline:
                    return {}
                self._ready.wait(max(min(until) - now, 0.0) if until else None)

    def clear(self) -> None:
        """Drop every key."""
        with self._ready:
            self._urgent.clear()
            self._patient.clear()
            self._later.clear()
            self._due.clear()
            self._failures.clear()

    def close(self) -> None:
        """Wake up `take`, which gives nothing from now on."""
        with self._ready:
            self._closed = True
            self._ready.notify_all()

    def _add(self, key: Key, arrived: float, urgent: bool) -> None:
        if key in self._urgent:
            return
        if urgent:
            self._patient.pop(key, None)
            self._urgent[key] = arrived
        else:
            self._patient.setdefault(key, arrived)


def _first(source: dict[Key, float], most: int) -> list[Key]:
    return list(islice(source, most))
