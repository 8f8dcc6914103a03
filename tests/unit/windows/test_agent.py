# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""When the service looks at its networks again."""

from __future__ import annotations

import threading

import pytest
from model_hcn import ModelHcn
from test_pod_network import CONFIG

from ovn_k8s.windows import agent as agent_module
from ovn_k8s.windows.agent import Agent


def test_a_port_that_is_not_open_yet_is_looked_at_again_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its adapter appears when the pod's first container starts; half a minute later would be late."""
    monkeypatch.setattr(agent_module, "FIRST_DELAY_SECONDS", 0.01)
    rounds, open_at_last, told = [], threading.Event(), threading.Event()

    def settle() -> bool:
        rounds.append(None)
        if len(rounds) == 4:
            open_at_last.set()
        if len(rounds) == 5:
            told.set()
        return len(rounds) < 4

    agent = Agent(ModelHcn(), CONFIG, settle=settle, round_seconds=3600)
    thread = threading.Thread(target=agent.run)
    thread.start()
    try:
        assert open_at_last.wait(20)
        # From then on it waits for the next round, or until it is told.
        agent.look()
        assert told.wait(20)
    finally:
        agent.stop()
        thread.join(20)
    assert not thread.is_alive()
