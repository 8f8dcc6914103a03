# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""systemd_services against a systemctl that only remembers what it is told."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
from module_runner import ModuleFailed, run_module

SYSTEMCTL = """#!/bin/sh
case "$1" in
show) cat {folder}/show ;;
restart) echo "$*" >> {folder}/log
    if [ -e {folder}/broken ]; then echo "Job for a.service failed" >&2; exit 1; fi ;;
*) echo "$*" >> {folder}/log ;;
esac
"""
JOURNALCTL = """#!/bin/sh
echo "cannot bind port 6443"
"""


class Systemd:
    """What systemctl shows and what it was told."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name, text in (("systemctl", SYSTEMCTL.format(folder=folder)), ("journalctl", JOURNALCTL)):
            (folder / name).write_text(text, encoding="ascii")
            (folder / name).chmod(0o755)
        self.unit = folder / "a.service.unit"
        self.unit.write_text("[Unit]\n", encoding="ascii")

    def show(
        self, active: str = "active", enabled: str = "enabled", started: float | None = None, reload: str = "no"
    ) -> None:
        microseconds = int((time.clock_gettime(time.CLOCK_MONOTONIC) if started is None else started) * 1e6)
        (self.folder / "show").write_text(
            f"Id=a.service\nLoadState=loaded\nActiveState={active}\nSubState=x\nUnitFileState={enabled}\n"
            f"NeedDaemonReload={reload}\nFragmentPath={self.unit}\nDropInPaths=\n"
            f"ExecMainStartTimestampMonotonic={microseconds}\nActiveEnterTimestampMonotonic=0\n",
            encoding="ascii",
        )

    def told(self) -> list[str]:
        log = self.folder / "log"
        lines = log.read_text(encoding="ascii").splitlines() if log.exists() else []
        log.unlink(missing_ok=True)
        return lines


@pytest.fixture
def systemd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Systemd:
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    return Systemd(tmp_path)


A = {"name": "a.service"}


def test_nothing_to_do(systemd: Systemd) -> None:
    time.sleep(0.02)  # the kernel stamps files with a coarse clock
    systemd.show()
    assert not run_module("systemd_services", services=[A])["changed"]
    assert systemd.told() == []


def test_a_new_unit_is_enabled_and_started(systemd: Systemd) -> None:
    systemd.show(active="inactive", enabled="disabled", started=0)
    result = run_module("systemd_services", check=True, services=[A])
    assert (result["changed"], systemd.told()) == (True, [])
    assert run_module("systemd_services", services=[A])["changed"]
    assert systemd.told() == ["enable -- a.service", "restart -- a.service"]


def test_a_file_written_after_the_start_restarts(systemd: Systemd) -> None:
    time.sleep(0.02)
    systemd.show(reload="yes")
    time.sleep(0.02)
    config = systemd.folder / "config"
    config.write_text("x", encoding="ascii")
    result = run_module("systemd_services", services=[{**A, "files": [str(config)]}])
    assert result["actions"] == [
        {"name": "a.service", "verbs": ["restart"], "why": f"{config} is newer than its start"}
    ]
    assert systemd.told() == ["daemon-reload", "restart -- a.service"]


def test_check_mode_knows_of_files_that_are_only_planned(systemd: Systemd) -> None:
    time.sleep(0.02)
    systemd.show()
    service = {**A, "files": ["/etc/a.conf"]}
    assert run_module("systemd_services", check=True, services=[service], pending_paths=["/etc/a.conf"])["changed"]
    assert not run_module("systemd_services", check=True, services=[service], pending_paths=["/etc/b.conf"])["changed"]


def test_stop_and_clean(systemd: Systemd) -> None:
    systemd.show()
    run_module("systemd_services", services=[{**A, "state": "stopped", "clean": True}])
    assert systemd.told() == [
        "stop -- a.service",
        "disable -- a.service",
        "reset-failed -- a.service",
        "clean --what=all -- a.service",
    ]


def test_a_failure_comes_with_the_unit_s_last_words(systemd: Systemd) -> None:
    systemd.show(active="failed")
    (systemd.folder / "broken").touch()
    with pytest.raises(ModuleFailed, match=r"(?s)restart a.service failed.*cannot bind port 6443"):
        run_module("systemd_services", services=[A])
