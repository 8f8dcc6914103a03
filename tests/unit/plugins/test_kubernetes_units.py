# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""Which systemd units are started, restarted, or left alone."""

from __future__ import annotations

import pytest
from ansible_collections.ovn_k8s.cluster.plugins.module_utils.kubernetes.units import (
    Service,
    UnitStatus,
    decide,
    parse_show,
)

SHOWN = """\
Id=etcd.service
LoadState=loaded
ActiveState=active
UnitFileState=enabled
NeedDaemonReload=no
FragmentPath=/etc/systemd/system/etcd.service
DropInPaths=/etc/systemd/system/etcd.service.d/a.conf /etc/systemd/system/etcd.service.d/b.conf
ExecMainStartTimestampMonotonic=5000
ActiveEnterTimestampMonotonic=6000

Id=gone.service
LoadState=not-found
ActiveState=inactive
UnitFileState=
NeedDaemonReload=no
FragmentPath=
DropInPaths=
ExecMainStartTimestampMonotonic=0
ActiveEnterTimestampMonotonic=0
"""


def running(**changes: object) -> UnitStatus:
    values = {
        "name": "a.service",
        "load_state": "loaded",
        "active_state": "active",
        "unit_file_state": "enabled",
        "unit_files": ("/unit",),
        "started": 1000,
    }
    return UnitStatus(**{**values, **changes})  # type: ignore[arg-type]


def verbs(
    service: Service, status: UnitStatus | None, times: dict[str, int], pending: tuple[str, ...] = ()
) -> list[str]:
    statuses = {status.name: status} if status else {}
    actions = decide([service], statuses, times.get, pending)
    return list(actions[0].verbs) if actions else []


def test_reads_what_systemctl_shows() -> None:
    found = parse_show(SHOWN)
    assert found["etcd.service"].running
    assert found["etcd.service"].enabled
    assert found["etcd.service"].started == 5000
    assert found["etcd.service"].unit_files == (
        "/etc/systemd/system/etcd.service",
        "/etc/systemd/system/etcd.service.d/a.conf",
        "/etc/systemd/system/etcd.service.d/b.conf",
    )
    assert not found["gone.service"].found
    assert found["gone.service"].describe() == "absent"


@pytest.mark.parametrize(
    ("status", "times", "pending", "expected"),
    [
        (None, {}, (), ["enable", "start"]),
        (running(), {"/unit": 900, "/config": 900}, (), []),
        (running(), {"/unit": 900, "/config": 1100}, (), ["restart"]),
        (running(), {"/unit": 1100}, (), ["restart"]),
        (running(), {"/unit": 900}, ("/config",), ["restart"]),
        (running(), {"/unit": 900}, ("/other",), []),
        (running(unit_file_state="disabled"), {}, (), ["enable"]),
        (running(active_state="failed"), {}, (), ["start"]),
        (running(active_state="activating"), {}, (), ["restart"]),
        (running(unit_file_state="static"), {}, (), []),
    ],
)
def test_started(
    status: UnitStatus | None, times: dict[str, int], pending: tuple[str, ...], expected: list[str]
) -> None:
    assert verbs(Service("a.service", files=("/config",)), status, times, pending) == expected


@pytest.mark.parametrize(
    ("status", "clean", "expected"),
    [
        (None, True, []),
        (running(), False, ["stop", "disable"]),
        (running(), True, ["stop", "disable", "clean"]),
        (running(active_state="inactive", unit_file_state="disabled"), False, []),
    ],
)
def test_stopped(status: UnitStatus | None, clean: bool, expected: list[str]) -> None:
    assert verbs(Service("a.service", state="stopped", clean=clean), status, {}) == expected


def test_says_why() -> None:
    status = running()
    action = decide([Service("a.service", files=("/config",))], {status.name: status}, {"/config": 2000}.get)[0]
    assert action.why == "/config is newer than its start"
