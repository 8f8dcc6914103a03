# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""What a set of systemd units needs so that each one runs with the files that are there now.

A daemon reads its unit, its configuration and its certificates when it starts. So it must be restarted when one of
them is newer than its start. Comparing these two times, instead of notifying a handler, still does the right thing
after a run that broke off between writing the file and restarting the daemon.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass

# what `systemctl show` is asked for; see org.freedesktop.systemd1(5)
PROPERTIES = (
    "Id",
    "LoadState",
    "ActiveState",
    "UnitFileState",
    "NeedDaemonReload",
    "FragmentPath",
    "DropInPaths",
    "ExecMainStartTimestampMonotonic",
    "ActiveEnterTimestampMonotonic",
)

# unit file states that need no `systemctl enable`
_ENABLED = frozenset({"enabled", "static", "alias", "indirect", "generated", "transient"})
_RUNNING = frozenset({"active", "reloading"})


@dataclass(frozen=True)
class Service:
    """A unit and the state that it should have.

    state: started | stopped; files: absolute paths that the daemon reads at its start.
    clean: remove the directories that systemd made for the unit (StateDirectory= and relatives) when it is stopped.
    """

    name: str
    state: str = "started"
    enabled: bool = True
    files: tuple[str, ...] = ()
    clean: bool = False


@dataclass(frozen=True)
class UnitStatus:
    """A unit as systemd sees it. started: microseconds of CLOCK_MONOTONIC, 0 when it has not run."""

    name: str
    load_state: str = "not-found"
    active_state: str = "inactive"
    unit_file_state: str = ""
    need_reload: bool = False
    unit_files: tuple[str, ...] = ()
    started: int = 0

    @property
    def found(self) -> bool:
        return self.load_state not in ("not-found", "error", "bad-setting")

    @property
    def running(self) -> bool:
        return self.active_state in _RUNNING

    @property
    def enabled(self) -> bool:
        return self.unit_file_state in _ENABLED

    def describe(self) -> str:
        """The state in words, for a diff."""
        if not self.found:
            return "absent"
        return f"{self.active_state}, {self.unit_file_state or 'not enabled'}"


@dataclass(frozen=True)
class Action:
    """What is done with one unit. verbs: of enable, disable, start, stop, restart; why: one reason for people."""

    name: str
    verbs: tuple[str, ...]
    why: str


def parse_show(text: str) -> dict[str, UnitStatus]:
    """The output of `systemctl show -p … UNIT…` (blocks of key=value, separated by empty lines), by unit name."""
    found = {}
    for block in text.strip().split("\n\n"):
        values = dict(line.split("=", 1) for line in block.splitlines() if "=" in line)
        name = values.get("Id", "")
        if not name:
            continue
        files = [values.get("FragmentPath", ""), *values.get("DropInPaths", "").split()]
        started = int(values.get("ExecMainStartTimestampMonotonic") or 0) or int(
            values.get("ActiveEnterTimestampMonotonic") or 0
        )
        found[name] = UnitStatus(
            name=name,
            load_state=values.get("LoadState", "not-found"),
            active_state=values.get("ActiveState", "inactive"),
            unit_file_state=values.get("UnitFileState", ""),
            need_reload=values.get("NeedDaemonReload") == "yes",
            unit_files=tuple(path for path in files if path),
            started=started,
        )
    return found


def newer_file(
    service: Service,
    status: UnitStatus,
    changed_at: Callable[[str], int | None],
    pending: Collection[str],
) -> str | None:
    """The first file that the running unit has not read yet, or None.

    changed_at: gives the time of a file's last change in microseconds of CLOCK_MONOTONIC, None when it is absent.
    pending: paths that a run in check mode would have written.
    """
    for path in (*status.unit_files, *service.files):
        if path in pending:
            return path
        changed = changed_at(path)
        if changed is not None and changed > status.started:
            return path
    return None


def decide(
    services: Iterable[Service],
    statuses: Mapping[str, UnitStatus],
    changed_at: Callable[[str], int | None],
    pending: Collection[str] = (),
) -> list[Action]:
    """The actions that bring the units to their states; an empty list when all is well."""
    actions = []
    for service in services:
        status = statuses.get(service.name, UnitStatus(service.name))
        if service.state == "stopped":
            verbs = []
            if status.found and status.active_state not in ("inactive", "failed"):
                verbs.append("stop")
            if status.unit_file_state in ("enabled", "enabled-runtime"):
                verbs.append("disable")
            if service.clean and status.found:
                verbs.append("clean")
            if verbs:
                actions.append(Action(service.name, tuple(verbs), "it is no longer wanted"))
            continue
        verbs = ["enable"] if service.enabled and not status.enabled else []
        why = "it is not enabled" if verbs else ""
        if not status.running:
            # a unit that waits for its automatic restart is "activating": restart covers that and plain stopped
            verbs.append("start" if status.active_state in ("inactive", "failed") else "restart")
            why = f"it is {status.active_state}" if status.found else "it is new"
        else:
            path = newer_file(service, status, changed_at, pending)
            if path:
                verbs.append("restart")
                why = f"{path} is newer than its start"
        if verbs:
            actions.append(Action(service.name, tuple(verbs), why))
    return actions
