# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""Which addresses answer: a TCP connection attempt each, over and over.

An answer is a refusal as well as an acceptance, so nothing has to listen there. It needs no privilege, and unlike
"destination unreachable" the kernel does not ration refusals.

Source ports are taken in turn. The kernel would choose them at random, and sooner or later one of a connection that was
refused a moment ago: on that, Open vSwitch before 3.3 ends itself in its userspace datapath (assertion in
conn_update_state(); OVN has every connection translated to the address that it has).
"""

from __future__ import annotations

import contextlib
import errno
import itertools
import logging
import random
import selectors
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping

LOG = logging.getLogger(__name__)

PORT = 9
"""The port "discard", on which nobody listens today."""
INTERVAL_S = 0.4
MISSES = 3
"""So many attempts without an answer in a row, 1.2 s, and what used to answer counts as silent."""
ANSWERS = 3
"""So many answers in a row, and what was silent counts as back."""
PATIENCE = 25
"""Attempts that something may leave unanswered that has not been heard of yet: 10 s."""
SOURCE_PORTS = range(32768, 61000)
"""Linux' own choice of ephemeral ports. With 100 gateways one comes again after two minutes: connections that were
refused are forgotten after 10 s, unanswered ones after 30 s."""
ANSWERED = frozenset({0, errno.ECONNREFUSED, errno.ECONNRESET})


class Verdicts:
    """Judges answers. A target is None until known, then True or False.

    When nobody answers, the fault is more likely on this side: all verdicts stay as they are.
    """

    def __init__(self) -> None:
        self._streaks: dict[str, int] = {}  # answers in a row, or misses as a negative number
        self.silent_rounds = 0
        """So many rounds in a row nobody has answered."""
        self.known: dict[str, bool] = {}

    def heard(self, answers: Mapping[str, bool]) -> list[str]:
        """Take one round of attempts, by target; the targets whose verdict has changed."""
        for gone in self._streaks.keys() - answers.keys():
            self._streaks.pop(gone)
            self.known.pop(gone, None)
        if not any(answers.values()):
            self.silent_rounds = self.silent_rounds + 1 if answers else 0
            return []
        self.silent_rounds = 0
        return [target for target, answered in answers.items() if self._judge(target, answered)]

    def _judge(self, target: str, answered: bool) -> bool:
        streak = self._streaks.get(target, 0)
        streak = max(streak, 0) + 1 if answered else min(streak, 0) - 1
        self._streaks[target] = streak
        before = self.known.get(target)
        if answered and (before is None or streak >= ANSWERS):
            self.known[target] = True
        elif -streak >= (PATIENCE if before is None else MISSES):
            self.known[target] = False
        return self.known.get(target) != before


class Reachability:
    """A thread that asks every target again and again; `targets` gives addresses by name, `changed` is told."""

    def __init__(self, targets: Callable[[], Mapping[str, str]], changed: Callable[[], None]) -> None:
        self._targets = targets
        self._changed = changed
        self._verdicts = Verdicts()
        self._source_ports = source_ports()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="reachability", daemon=True)

    def start(self) -> None:
        """Start to ask."""
        self._thread.start()

    def stop(self) -> None:
        """Ask no more."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()

    def verdict(self, target: str) -> bool | None:
        """Whether it answers; None while that is not known."""
        return self._verdicts.known.get(target)

    def verdicts(self) -> dict[str, bool]:
        """All that are known."""
        return dict(self._verdicts.known)

    def _run(self) -> None:
        while not self._stop.is_set():
            began = time.monotonic()
            changed = self._verdicts.heard(attempt(self._targets(), INTERVAL_S, self._source_ports))
            for target in changed:
                LOG.warning("%s %s", target, "answers" if self.verdict(target) else "does not answer")
            if changed:
                self._changed()
            if self._verdicts.silent_rounds == MISSES:
                LOG.warning("no gateway answers; that is rather this side's fault, so all stay as they are")
            self._stop.wait(max(0.0, began + INTERVAL_S - time.monotonic()))


def source_ports() -> Iterator[int]:
    """All source ports in turn, for ever, from anywhere on."""
    begin = random.randrange(len(SOURCE_PORTS))
    return (SOURCE_PORTS[number % len(SOURCE_PORTS)] for number in itertools.count(begin))


def attempt(targets: Mapping[str, str], timeout: float, ports: Iterator[int]) -> dict[str, bool]:
    """Which of the targets, IPv4 addresses by name, answer within `timeout` seconds, asked from the next ports."""
    answers = dict.fromkeys(targets, False)
    with selectors.DefaultSelector() as selector:
        for name, address in targets.items():
            connection = socket.socket(socket.AF_INET, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
            # An accepted connection is reset at its end, so it leaves no trace on either side.
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
            _bind(connection, ports)
            if connection.connect_ex((address, PORT)) == errno.EINPROGRESS:
                selector.register(connection, selectors.EVENT_WRITE, name)
            else:
                connection.close()  # no route, for one
        deadline = time.monotonic() + timeout
        while selector.get_map() and (left := deadline - time.monotonic()) > 0:
            for key, _events in selector.select(left):
                connection = key.fileobj  # type: ignore[assignment]
                answers[key.data] = connection.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) in ANSWERED
                selector.unregister(connection)
                connection.close()
        for key in list(selector.get_map().values()):
            key.fileobj.close()  # type: ignore[union-attr]
    return answers


def _bind(connection: socket.socket, ports: Iterator[int]) -> None:
    """Take the next port that is free. When many in a row are not, the kernel may choose."""
    for port in itertools.islice(ports, 20):
        with contextlib.suppress(OSError):
            connection.bind(("", port))
            return
