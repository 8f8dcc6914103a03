# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""The queue of keys."""

from __future__ import annotations

import threading
import time

import pytest

from ovn_k8s.watcher import workqueue
from ovn_k8s.watcher.workqueue import PATIENT_SHARE, Key, WorkQueue

A, B = Key("pod", "d", "a"), Key("pod", "d", "b")


def many(count: int) -> list[Key]:
    return [Key("pod", "many", str(number)) for number in range(count)]


def test_a_key_waits_once_from_its_first_arrival() -> None:
    queue = WorkQueue()
    queue.add(A)
    time.sleep(0.02)
    before = time.monotonic()
    queue.add(A)
    queue.add(B)
    batch = queue.take(10)
    assert list(batch) == [A, B]
    assert batch[A] < before <= batch[B]
    assert queue.take(10, 0) == {}


def test_a_batch_has_a_limit_and_keeps_the_order() -> None:
    queue = WorkQueue()
    keys = many(10)
    queue.add_all(keys, urgent=True)
    assert list(queue.take(4)) == keys[:4]
    assert list(queue.take(40)) == keys[4:]


def test_what_just_happened_goes_first_and_does_not_starve_the_rest() -> None:
    queue = WorkQueue()
    keys = many(100)
    queue.add_all(keys)
    queue.add(A)
    queue.add(keys[50])
    batch = list(queue.take(256))
    assert batch[:2] == [A, keys[50]]
    assert len(batch) == 2 + PATIENT_SHARE
    assert len(queue.take(256)) == 99 - PATIENT_SHARE


def test_an_urgent_key_is_not_demoted() -> None:
    queue = WorkQueue()
    queue.add(A)
    queue.add(A, urgent=False)
    assert len(queue) == 1


def test_retries_come_back_later_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workqueue.random, "uniform", lambda low, high: 1.0)
    queue = WorkQueue()
    delays = [queue.retry(A) for _ in range(30)]
    assert delays[:4] == [0.05, 0.1, 0.2, 0.4]
    assert delays[-1] == workqueue.LONGEST_RETRY_S
    assert queue.failures(A) == 30
    queue.forget(A)
    assert queue.retry(A) == 0.05


def test_a_retry_is_taken_when_it_is_due() -> None:
    queue = WorkQueue()
    queue.retry(A)
    assert queue.take(1, 0) == {}
    assert queue.waiting == 1
    started = time.monotonic()
    assert list(queue.take(1, 5)) == [A]
    assert 0.02 < time.monotonic() - started < 1


def test_a_key_that_fails_again_before_its_turn_comes_back_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workqueue, "FIRST_RETRY_S", 0.001)
    queue = WorkQueue()
    for _ in range(8):
        queue.retry(A)
    assert queue.waiting == 1
    assert list(queue.take(1, 5)) == [A]
    assert queue.take(1, 0.2) == {}


def test_a_stream_of_news_does_not_starve_what_waits() -> None:
    queue = WorkQueue()
    queue.add_all(many(1000), urgent=True)
    queue.add(A, urgent=False)
    assert A in queue.take(256)
    assert A not in queue.take(256)


def test_put_back_keeps_the_arrival() -> None:
    queue = WorkQueue()
    queue.add(A)
    batch = queue.take(1)
    queue.add(B)
    queue.put_back(batch)
    again = queue.take(5)
    assert list(again) == [A, B]
    assert again[A] == batch[A]


def test_take_waits_and_close_wakes_it() -> None:
    queue = WorkQueue()
    threading.Timer(0.05, queue.add, (A,)).start()
    assert list(queue.take(1)) == [A]
    threading.Timer(0.05, queue.close).start()
    assert queue.take(1) == {}


def test_keys_read_like_owners() -> None:
    assert str(A) == "pod/d/a"
