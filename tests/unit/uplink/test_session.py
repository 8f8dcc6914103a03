# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""Starting a move as a unit of systemd."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from ovn_k8s.uplink import record, session
from ovn_k8s.uplink.kernel import Facts

MOVE = record.Record("ext0", "brext0", "netdev", "networkd", record.MOVING, 30.0, Facts())


class Systemd:
    """Answers as systemd does; `states` are the unit's, in order."""

    def __init__(self, *states: str) -> None:
        self.states, self.commands = list(states), []

    def run(self, command: list[str], **_options: object) -> subprocess.CompletedProcess[str]:
        self.commands.append(command[0])
        answer = self.states.pop(0) if command[0] == "systemctl" else ""
        return subprocess.CompletedProcess(command, 0, answer + "\n", "")


def test_a_move_waits_for_the_end_of_the_one_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """At its end a unit undoes whatever move is recorded and not confirmed."""
    systemd = Systemd("active", "deactivating", "inactive")

    def run(command: list[str], **options: object) -> subprocess.CompletedProcess[str]:
        if command[0] == "systemctl":
            assert record.load("ext0", tmp_path) is None, "nothing is recorded yet"
        return systemd.run(command, **options)

    monkeypatch.setattr(session.subprocess, "run", run)
    session.begin(MOVE, tmp_path)
    assert systemd.commands == ["systemctl"] * 3 + ["systemd-run"]
    assert record.load("ext0", tmp_path) == MOVE


def test_a_move_whose_predecessor_does_not_end_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session, "GRACE_SECONDS", 0.0)
    monkeypatch.setattr(session.subprocess, "run", Systemd("active", "active", "active").run)
    with pytest.raises(session.UplinkError, match=r"ovn-k8s-uplink-ext0\.service.* does not end"):
        session.begin(MOVE, tmp_path)
    assert record.load("ext0", tmp_path) is None
