# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""Says after a playbook which tasks took longest, and how long all of it took."""

from __future__ import annotations

import time
from typing import Any

from ansible.plugins.callback import CallbackBase

DOCUMENTATION = """
name: step_times
type: aggregate
short_description: Show the slowest tasks of a playbook run
description:
  - Prints, at the end of a playbook, the ten tasks that took longest and the time of the whole run.
"""

SHOWN = 10


class CallbackModule(CallbackBase):  # type: ignore[misc]
    """Measures every task from its start to that of the next."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "step_times"
    CALLBACK_NEEDS_ENABLED = True

    def __init__(self) -> None:
        super().__init__()
        self._begun = time.monotonic()
        self._current: tuple[str, float] | None = None
        self._times: list[tuple[float, str]] = []

    def v2_playbook_on_task_start(self, task: Any, is_conditional: bool) -> None:
        self._next(task.get_name().strip())

    def v2_playbook_on_handler_task_start(self, task: Any) -> None:
        self._next(task.get_name().strip())

    def v2_playbook_on_stats(self, stats: Any) -> None:
        self._next(None)
        slowest = sorted(self._times, reverse=True)[:SHOWN]
        self._display.banner(f"TIME {time.monotonic() - self._begun:.1f} s, {len(self._times)} tasks")
        for seconds, name in slowest:
            self._display.display(f"{seconds:8.1f} s  {name}")

    def _next(self, name: str | None) -> None:
        now = time.monotonic()
        if self._current:
            self._times.append((now - self._current[1], self._current[0]))
        self._current = (name, now) if name is not None else None
