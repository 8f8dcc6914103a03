# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""Waiting for something in a replica to become true: woken by its changes, never polling."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def wait_for(changed: threading.Condition, probe: Callable[[], T | None], deadline: float) -> T | None:
    """The first result of `probe` that is not None, or None at `deadline` (seconds of time.monotonic).

    `probe` is called with the condition's lock held, at once and after each notification. What it raises ends the wait.
    """
    with changed:
        while True:
            result = probe()
            left = deadline - time.monotonic()
            if result is not None or left <= 0:
                return result
            changed.wait(left)
