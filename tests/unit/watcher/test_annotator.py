# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""The annotator against an API server that refuses, and pods that go meanwhile."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from fake_api import pod

from ovn_k8s.core.ipam import Lease
from ovn_k8s.core.pods import pod_from_api
from ovn_k8s.kubernetes.errors import ApiUnreachable
from ovn_k8s.watcher.annotations import Annotator
from ovn_k8s.watcher.workqueue import Key

LEASE = Lease("linux1", "uid-a", "10.244.1.3", "10.244.1.3/24", "10.244.1.1")


class Away:
    """An API server that cannot be reached."""

    def __init__(self) -> None:
        self.asked = 0

    def merge_patch(self, path: str, patch: object) -> None:
        self.asked += 1
        raise ApiUnreachable("gone")


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_failures_of_pods_that_have_gone_are_forgotten() -> None:
    api: Any = Away()
    known = pod_from_api(pod("a", 1))
    pods: Any = {known.key: known}
    annotator = Annotator(api, pods, busy=lambda: False, leads=lambda: True)
    annotator.start()
    try:
        annotator.want(known, LEASE)
        until(lambda: api.asked >= 2)
        pods.clear()
        until(lambda: len(annotator) == 0)
        until(lambda: annotator._queue.failures(Key("pod", *known.key)) == 0)
    finally:
        annotator.stop()
