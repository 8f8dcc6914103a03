# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""The informer against a server that does what API servers do on bad days."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from fake_api import BREAK, END, FakeApi, event, pod

from ovn_k8s.core.pods import Pod, pod_from_api
from ovn_k8s.kubernetes import informer as informer_module
from ovn_k8s.kubernetes.informer import Informer


class Stage:
    """A server, an informer on it, and everything that its listener was told."""

    def __init__(self, fake: FakeApi) -> None:
        self.fake = fake
        self.told: list[tuple[str, str]] = []
        self.informer: Informer[Pod] | None = None

    def start(self, **options: Any) -> Informer[Pod]:
        self.informer = Informer(self.fake.api(), "/api/v1/pods", pod_from_api, self.listen, **options)
        self.informer.start()
        return self.informer

    def listen(self, old: Pod | None, new: Pod | None) -> None:
        kind = "added" if old is None else "gone" if new is None else "changed"
        present = new or old
        assert present is not None
        self.told.append((kind, present.name))

    def until(self, condition: Callable[[], bool], seconds: float = 5.0) -> None:
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, (self.told, self.fake.requests)
            time.sleep(0.005)


@pytest.fixture
def stage(monkeypatch: pytest.MonkeyPatch) -> Iterator[Stage]:
    monkeypatch.setattr(informer_module, "FIRST_DELAY_S", 0.01)
    fake = FakeApi(objects=[pod("a", 1), pod("b", 2)], version=7)
    result = Stage(fake)
    yield result
    if result.informer:
        result.informer.stop()
    fake.stop()


def test_lists_then_watches_from_the_lists_version(stage: Stage) -> None:
    informer = stage.start()
    stage.until(lambda: stage.fake.count("watch") == 1)
    assert informer.synced
    assert stage.told == [("added", "a"), ("added", "b")]
    query = stage.fake.requests[-1][1]
    assert query["resourceVersion"] == "7"
    assert query["allowWatchBookmarks"] == "true"
    stage.fake.watches.put(event("ADDED", pod("c", 8)))
    stage.fake.watches.put(event("MODIFIED", pod("a", 9, status={"podIP": "10.244.1.3"})))
    stage.fake.watches.put(event("DELETED", pod("b", 10)))
    stage.until(lambda: len(stage.told) == 5)
    assert stage.told[2:] == [("added", "c"), ("changed", "a"), ("gone", "b")]
    assert sorted(item.name for item in informer.all()) == ["a", "c"]


def test_long_lists_come_in_pages(stage: Stage) -> None:
    stage.fake.objects = [pod(f"p{number}", number) for number in range(25)]
    informer = stage.start(page=10)
    assert informer.wait_synced(5)
    assert len(informer) == 25
    assert stage.fake.count("list") == 3


def test_a_change_that_does_not_matter_is_no_change(stage: Stage) -> None:
    stage.start()
    stage.fake.watches.put(event("MODIFIED", pod("a", 8, status={"startTime": "now"})))
    stage.fake.watches.put(event("ADDED", pod("c", 9)))
    stage.until(lambda: ("added", "c") in stage.told)
    assert ("changed", "a") not in stage.told


@pytest.mark.parametrize("ending", [BREAK, END])
def test_resumes_where_the_watch_ended_bookmarks_included(stage: Stage, ending: object) -> None:
    stage.start()
    stage.fake.watches.put(event("BOOKMARK", {"metadata": {"resourceVersion": "40"}}))
    stage.fake.watches.put(ending)
    stage.until(lambda: stage.fake.count("watch") == 2)
    assert stage.fake.requests[-1][1]["resourceVersion"] == "40"
    assert stage.fake.count("list") == 1
    stage.fake.watches.put(event("ADDED", pod("c", 41)))
    stage.until(lambda: ("added", "c") in stage.told)


def test_expired_lists_again_and_tells_only_the_difference(stage: Stage) -> None:
    informer = stage.start()
    stage.until(lambda: stage.fake.count("watch") == 1)
    stage.told.clear()
    stage.fake.objects = [pod("b", 2), pod("c", 90)]
    stage.fake.version = 90
    stage.fake.watches.put(event("ERROR", {"kind": "Status", "code": 410, "reason": "Expired"}))
    stage.until(lambda: stage.fake.count("watch") == 2)
    assert stage.told == [("gone", "a"), ("added", "c")]
    assert stage.fake.requests[-1][1]["resourceVersion"] == "90"
    assert informer.lists == 2


def test_expired_as_the_answer_to_the_watch(stage: Stage) -> None:
    stage.start()
    stage.until(lambda: stage.fake.count("watch") == 1)
    stage.fake.failures = [(410, {})]
    stage.fake.watches.put(END)
    stage.until(lambda: stage.fake.count("watch") == 3)
    assert stage.fake.count("list") == 2


def test_other_errors_of_a_watch_list_again(stage: Stage) -> None:
    stage.start()
    stage.fake.watches.put(event("ERROR", {"kind": "Status", "code": 500, "reason": "InternalError"}))
    stage.until(lambda: stage.fake.count("list") == 2 and stage.fake.count("watch") == 2)


def test_refusals_are_not_the_end(stage: Stage, caplog: pytest.LogCaptureFixture) -> None:
    stage.fake.failures = [(403, {}), (429, {"Retry-After": "0"}), (503, {}), (500, {})]
    informer = stage.start()
    assert informer.wait_synced(5)
    assert "403 Because: told to" in caplog.text


def test_the_delay_that_the_server_asks_for_is_kept(stage: Stage) -> None:
    stage.fake.failures = [(429, {"Retry-After": "1"})]
    started = time.monotonic()
    assert stage.start().wait_synced(5)
    assert time.monotonic() - started >= 1


def test_a_silent_watch_is_left_and_everything_listed_again(stage: Stage) -> None:
    informer = stage.start(silence_s=0.3)
    stage.until(lambda: informer.lists >= 2)
    assert stage.told == [("added", "a"), ("added", "b")]


def test_a_server_that_ends_every_watch_at_once_is_not_besieged(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(informer_module, "FIRST_DELAY_S", 0.1)
    for _ in range(50):
        stage.fake.watches.put(END)
    stage.start()
    time.sleep(0.6)
    assert stage.fake.count("watch") < 8


def test_an_object_that_cannot_be_read_is_left_aside(stage: Stage, caplog: pytest.LogCaptureFixture) -> None:
    stage.fake.objects.append({"metadata": {"namespace": "d", "name": "broken"}})
    informer = stage.start()
    assert informer.wait_synced(5)
    assert len(informer) == 2
    assert "d/broken cannot be read" in caplog.text


def test_a_listener_that_fails_does_not_end_the_informer(stage: Stage) -> None:
    calls = []

    def listen(old: Pod | None, new: Pod | None) -> None:
        calls.append(new)
        raise RuntimeError("no")

    stage.informer = Informer(stage.fake.api(), "/api/v1/pods", pod_from_api, listen)
    stage.informer.start()
    stage.fake.watches.put(event("ADDED", pod("c", 9)))
    stage.until(lambda: len(calls) == 3)
    assert stage.informer.alive


def test_the_index_follows(stage: Stage) -> None:
    informer = stage.start(index=lambda item: item.node or None)
    assert informer.wait_synced(5)
    assert {item.name for item in informer.indexed("linux1")} == {"a", "b"}
    stage.fake.watches.put(event("MODIFIED", pod("a", 9, spec={"nodeName": "linux2"})))
    stage.fake.watches.put(event("DELETED", pod("b", 10)))
    stage.until(lambda: len(informer) == 1)
    assert informer.indexed("linux1") == []
    assert [item.name for item in informer.indexed("linux2")] == ["a"]


def test_stop_ends_an_idle_watch_at_once(stage: Stage) -> None:
    informer = stage.start()
    stage.until(lambda: stage.fake.count("watch") == 1)
    started = time.monotonic()
    informer.stop()
    assert time.monotonic() - started < 1
    assert not informer.alive
