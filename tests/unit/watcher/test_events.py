# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""Events are few, whatever happens."""

from __future__ import annotations

from typing import Any

import pytest

from ovn_k8s.core.pods import Pod
from ovn_k8s.kubernetes.errors import ApiRefused
from ovn_k8s.watcher import events
from ovn_k8s.watcher.events import MOST_PER_TICK, EventRecorder
from ovn_k8s.watcher.workqueue import Key


class Server:
    """Takes events; `refuse` is the status of the next answer."""

    def __init__(self) -> None:
        self.created: list[dict[str, Any]] = []
        self.patched: list[dict[str, Any]] = []
        self.refuse = 0

    def _answer(self) -> None:
        status, self.refuse = self.refuse, 0
        if status:
            raise ApiRefused(status, "x", "")

    def create(self, path: str, document: dict[str, Any]) -> None:
        self._answer()
        self.created.append(document)

    def merge_patch(self, path: str, patch: dict[str, Any]) -> None:
        self._answer()
        self.patched.append(patch)


class Pods:
    """A cache in which each pod is there."""

    uid = "u"

    def get(self, key: tuple[str, str]) -> Pod:
        return Pod(*key, uid=self.uid, sandbox_uid=self.uid)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [1000.0]
    monkeypatch.setattr(events.time, "monotonic", lambda: now[0])
    return now


def recorder(server: Server, pods: Any = None) -> EventRecorder:
    return EventRecorder(server, {"pod": pods or Pods()}, leads=lambda: True)  # type: ignore[arg-type]


A = Key("pod", "d", "a")


def test_the_same_thing_is_counted_and_written_again_after_minutes(clock: list[float]) -> None:
    server = Server()
    events_of = recorder(server)
    for _ in range(100):
        events_of.tell(A, "R", "m")
        clock[0] += 0.5
        events_of._tick()
    assert [(event["reason"], event["count"] < 4) for event in server.created] == [("R", True)]
    assert server.patched == []
    clock[0] += 300
    events_of._tick()
    assert [patch["count"] for patch in server.patched] == [100]


def test_what_passes_soon_is_not_told(clock: list[float]) -> None:
    server = Server()
    events_of = recorder(server)
    events_of.tell(A, "R", "m")
    clock[0] += 0.5
    events_of._tick()
    events_of.well(A)
    clock[0] += 10
    events_of._tick()
    assert server.created == []


def test_many_pods_do_not_besiege_the_server(clock: list[float]) -> None:
    server = Server()
    events_of = recorder(server)
    for number in range(5000):
        events_of.tell(Key("pod", "d", f"p{number}"), "R", "m")
    clock[0] += 2
    events_of._tick()
    assert len(server.created) == MOST_PER_TICK
    assert events_of.written.get("dropped") == 3000


def test_another_message_is_another_event_but_not_at_once(clock: list[float]) -> None:
    server = Server()
    events_of = recorder(server)
    for number in range(50):
        events_of.tell(A, "R", f"m{number}")
        clock[0] += 1.5
        events_of._tick()
    assert 5 <= len(server.created) <= 9


def test_failures_are_tried_again_and_an_event_that_went_is_made_anew(clock: list[float]) -> None:
    server = Server()
    events_of = recorder(server)
    events_of.tell(A, "R", "m")
    clock[0] += 2
    server.refuse = 500
    events_of._tick()
    assert server.created == []
    clock[0] += 11
    events_of._tick()
    assert len(server.created) == 1
    events_of.tell(A, "R", "m")
    clock[0] += 301
    server.refuse = 404
    events_of._tick()
    clock[0] += 11
    events_of._tick()
    assert len(server.created) == 2


def test_the_next_pod_of_the_name_is_another_one(clock: list[float]) -> None:
    server, pods = Server(), Pods()
    events_of = recorder(server, pods)
    events_of.tell(A, "R", "m")
    clock[0] += 2
    events_of._tick()
    events_of.tell(A, "R", "m")
    pods.uid = "other"
    clock[0] += 400
    events_of._tick()
    assert (len(server.created), server.patched) == (1, [])
