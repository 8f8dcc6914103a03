# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""The election of a leader against an API server that has no place for its Lease yet."""

from __future__ import annotations

import time
from typing import Any

from ovn_k8s.kubernetes.api import Document
from ovn_k8s.kubernetes.errors import ApiRefused
from ovn_k8s.watcher.leadership import Leadership


class NoNamespace:
    """An API server that has just been born."""

    def __init__(self) -> None:
        self.asked = 0

    def get(self, path: str, timeout: float) -> Document:
        self.asked += 1
        raise ApiRefused(404, "NotFound", "leases not found", None)

    def create(self, path: str, document: Document, timeout: float) -> Document:
        self.asked += 1
        raise ApiRefused(404, "NotFound", 'namespaces "kube-system" not found', None)


def test_a_namespace_that_is_not_there_yet_is_told_and_waited_for() -> None:
    api: Any = NoNamespace()
    leadership = Leadership(api, lambda: True)
    leadership.start()
    try:
        deadline = time.monotonic() + 5
        while "kube-system" not in leadership.trouble:
            assert time.monotonic() < deadline, leadership.trouble
            time.sleep(0.01)
        time.sleep(0.5)
        assert api.asked <= 4
    finally:
        leadership.stop(release=False)
