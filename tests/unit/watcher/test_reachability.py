# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""When something counts as silent, and when as back."""

from __future__ import annotations

import itertools
import socket

from ovn_k8s.watcher.reachability import (
    ANSWERS,
    MISSES,
    PATIENCE,
    PORT,
    SOURCE_PORTS,
    Verdicts,
    attempt,
    source_ports,
)


def rounds(verdicts: Verdicts, count: int, **answers: bool) -> list[list[str]]:
    return [verdicts.heard(answers) for _ in range(count)]


def test_the_first_answer_counts_at_once() -> None:
    verdicts = Verdicts()
    assert verdicts.heard({"a": True, "b": False}) == ["a"]
    assert verdicts.known == {"a": True}


def test_some_misses_in_a_row_and_it_is_silent() -> None:
    verdicts = Verdicts()
    verdicts.heard({"a": True, "b": True})
    assert rounds(verdicts, MISSES, a=True, b=False) == [*([[]] * (MISSES - 1)), ["b"]]
    assert verdicts.known == {"a": True, "b": False}


def test_a_miss_now_and_then_is_forgiven() -> None:
    verdicts = Verdicts()
    verdicts.heard({"a": True, "b": True})
    for _ in range(20):
        assert rounds(verdicts, MISSES - 1, a=True, b=False) == [[]] * (MISSES - 1)
        assert verdicts.heard({"a": True, "b": True}) == []


def test_what_comes_back_has_to_answer_for_a_while() -> None:
    verdicts = Verdicts()
    verdicts.heard({"a": True, "b": True})
    rounds(verdicts, MISSES, a=True, b=False)
    assert rounds(verdicts, ANSWERS, a=True, b=True) == [*([[]] * (ANSWERS - 1)), ["b"]]


def test_when_nobody_answers_nothing_is_judged() -> None:
    verdicts = Verdicts()
    verdicts.heard({"a": True, "b": True})
    rounds(verdicts, MISSES, a=False, b=True)
    rounds(verdicts, 50, a=False, b=False)
    assert verdicts.known == {"a": False, "b": True}
    rounds(verdicts, ANSWERS, a=True, b=False)
    assert verdicts.known == {"a": True, "b": False}


def test_what_never_answered_gets_more_time() -> None:
    verdicts = Verdicts()
    rounds(verdicts, PATIENCE - 1, a=True, b=False)
    assert "b" not in verdicts.known
    assert verdicts.heard({"a": True, "b": False}) == ["b"]


def test_what_is_no_target_any_more_is_forgotten() -> None:
    verdicts = Verdicts()
    verdicts.heard({"a": True, "b": True})
    verdicts.heard({"a": True})
    assert verdicts.known == {"a": True}


def test_a_refusal_and_an_acceptance_are_answers() -> None:
    with socket.create_server(("127.0.0.2", PORT)):
        targets = {"accepts": "127.0.0.2", "refuses": "127.0.0.3", "impossible": "255.255.255.255"}
        answers = attempt(targets, 0.3, source_ports())
    assert answers == {"accepts": True, "refuses": True, "impossible": False}


def test_source_ports_are_taken_in_turn() -> None:
    """A port that comes again soon after a refusal ends Open vSwitch 3.1's userspace datapath."""
    ports = source_ports()
    first = next(ports)
    seen = [first, *itertools.islice(ports, len(SOURCE_PORTS) - 1)]
    assert sorted(seen) == list(SOURCE_PORTS)
    assert next(ports) == first


def test_it_asks_from_the_next_port_that_is_free() -> None:
    with socket.create_server(("127.0.0.2", PORT)) as server, socket.socket() as taken:
        taken.bind(("", 0))
        number = taken.getsockname()[1]
        assert attempt({"a": "127.0.0.2"}, 0.3, iter([number, number + 1, number + 2])) == {"a": True}
        assert server.accept()[1][1] in (number + 1, number + 2)


def test_rounds_without_any_answer_are_counted() -> None:
    verdicts = Verdicts()
    assert verdicts.silent_rounds == 0
    rounds(verdicts, 4, a=False, b=False)
    assert verdicts.silent_rounds == 4
    verdicts.heard({"a": True, "b": False})
    assert verdicts.silent_rounds == 0
    verdicts.heard({})
    assert verdicts.silent_rounds == 0
