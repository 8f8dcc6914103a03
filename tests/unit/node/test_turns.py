# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
from __future__ import annotations

import threading

import pytest

from ovn_k8s.node.turns import Turns


def test_one_at_a_time_and_others_are_not_held_up() -> None:
    turns = Turns(lambda: None)
    with turns.take("a", 1), turns.take("b", 1), pytest.raises(TimeoutError), turns.take("a", 0.01):
        pass
    with turns.take("a", 0.01):
        pass


def test_a_cancelled_holder_is_woken() -> None:
    woken = threading.Event()
    turns = Turns(woken.set)
    held = threading.Event()

    def hold() -> None:
        with turns.take("a", 1) as turn:
            held.set()
            woken.wait(5)
            assert turn.cancelled

    holder = threading.Thread(target=hold)
    holder.start()
    held.wait(5)
    with turns.take("a", 5, cancel=True) as turn:
        assert not turn.cancelled
    holder.join(5)


def test_a_failed_operation_gives_its_turn_back() -> None:
    turns = Turns(lambda: None)
    with pytest.raises(ValueError, match="broken"), turns.take("a", 1):
        raise ValueError("broken")
    with turns.take("a", 0.01):
        pass
