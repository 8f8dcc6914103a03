# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""Services of a Windows machine: what is wanted, what differs, and which have to start again because of what they read.

A service is started again when its command, its environment or the content of a file that it reads is not what it was
started with last. That is remembered in the record, after the start: a run that is interrupted before starts it then.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any, Protocol

from .errors import MachineError
from .files import Change
from .record import Record

STARTS = ("auto", "delayed", "manual")
STATES = ("started", "stopped", "absent")
RECOVERY_MS = (1_000, 5_000, 30_000)
LOG_TAIL = 1500


@dataclass(frozen=True)
class Service:
    """A service. `reads` are files, `log` is where it says what is wrong with it."""

    name: str
    command: str = ""
    display_name: str = ""
    description: str = ""
    depends: tuple[str, ...] = ()
    start: str = "auto"
    environment: Mapping[str, str] = field(default_factory=dict)
    recovery_ms: tuple[int, ...] = RECOVERY_MS
    reads: tuple[str, ...] = ()
    log: str = ""
    state: str = "started"

    def settings(self) -> dict[str, Any]:
        """What the service control manager is told."""
        return {
            "command": self.command,
            "display_name": self.display_name or self.name,
            "description": self.description,
            "depends": sorted(self.depends, key=str.lower),
            "start": self.start,
            "environment": dict(sorted(self.environment.items())),
            "recovery_ms": list(self.recovery_ms),
        }


class Manager(Protocol):
    """The service control manager; `service_control.ServiceControl` is the real one. All raise MachineError."""

    def settings(self, name: str) -> dict[str, Any] | None:
        """As `Service.settings`, None for a service that is not there. A setting that it cannot tell is left out."""

    def is_running(self, name: str) -> bool: ...
    def create(self, service: Service) -> None: ...
    def change(self, service: Service) -> None: ...
    def delete(self, name: str) -> None: ...
    def start(self, name: str) -> None: ...
    def stop(self, name: str) -> list[str]:
        """Stop it and whatever depends on it; the names of the others that ran, in the order to start them again."""


def read_services(items: Iterable[Mapping[str, Any]]) -> tuple[Service, ...]:
    """The part `services` of a request. Raises MachineError."""
    result = []
    for item in items:
        try:
            values: dict[str, Any] = {key: tuple(v) if isinstance(v, list) else v for key, v in item.items()}
            service = Service(**values)
        except TypeError as error:
            raise MachineError(f"service {item.get('name')!r}: {error}") from error
        if service.start not in STARTS or service.state not in STATES:
            raise MachineError(f"service {service.name!r}: start is one of {STARTS} and state one of {STATES}")
        if service.state != "absent" and not service.command:
            raise MachineError(f"service {service.name!r} needs a command")
        result.append(service)
    return tuple(result)


def settle(
    wanted: Sequence[Service], manager: Manager, record: Record, pending: Mapping[str, str], *, dry: bool
) -> list[Change]:
    """Make services as wanted; what that took. With `dry` only say it.

    `pending` are the digests of files that, in a dry run, would have been written. Raises MachineError.
    """
    digests: dict[str, str | None] = dict(pending)

    def digest(path: str) -> str | None:
        if path not in digests:
            digests[path] = record.digest(Path(path))
        return digests[path]

    run = _Run(manager, record, digest, dry)
    for service in wanted:
        run.configure(service)
    # Together and before any starts: so nothing is started twice because of what it depends on.
    for service in reversed(wanted):
        run.end(service)
    for service in wanted:
        run.begin(service)
    run.begin_others()
    return run.changes


class _Run:
    def __init__(self, manager: Manager, record: Record, digest: Callable[[str], str | None], dry: bool) -> None:
        self.manager, self.record, self.digest, self.dry = manager, record, digest, dry
        self.changes: list[Change] = []
        self.running: dict[str, bool] = {}
        self.restarted: set[str] = set()
        self.others: list[str] = []

    def configure(self, service: Service) -> None:
        actual = self.manager.settings(service.name)
        self.running[service.name] = actual is not None and self.manager.is_running(service.name)
        if service.state == "absent":
            return
        target = service.settings()
        if actual is None:
            self._say(service.name, "installed", {}, target)
            if not self.dry:
                self.record.services[service.name] = ""
                self.record.save()
                self.manager.create(service)
            return
        before = {key: value for key, value in actual.items() if target.get(key) != value}
        if before:
            self._say(service.name, "changed", before, {key: target[key] for key in before})
            if not self.dry:
                self.manager.change(service)

    def end(self, service: Service) -> None:
        name = service.name
        actual = self.manager.settings(name)
        if service.state == "absent":
            if actual is not None:
                self._say(name, "removed", actual, {})
                if not self.dry:
                    self._stop(name)
                    self.manager.delete(name)
                    self.record.services.pop(name, None)
                    self.record.save()
        elif service.state == "stopped":
            if self.running[name]:
                self._say(name, "stopped", {}, {})
                self._stop(name)
        elif self.running[name] and self.record.services.get(name) != self.fingerprint(service):
            self._say(name, "restarted", {}, {})
            self.restarted.add(name)
            self._stop(name)

    def begin(self, service: Service) -> None:
        name = service.name
        if service.state != "started":
            return
        if self.dry:
            if not self.running[name]:
                self._say(name, "started", {}, {})
            return
        if not self.manager.is_running(name):
            if name not in self.restarted:
                self._say(name, "started", {}, {})
            self._start(name, service.log)
        mark = self.fingerprint(service)
        if self.record.services.get(name) != mark:
            self.record.services[name] = mark
            self.record.save()

    def begin_others(self) -> None:
        for name in self.others:
            if not self.manager.is_running(name):
                self._start(name, "")

    def fingerprint(self, service: Service) -> str:
        reads = {path: self.digest(path) for path in service.reads}
        document = {"command": service.command, "environment": dict(service.environment), "reads": reads}
        return sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()

    def _start(self, name: str, log: str) -> None:
        try:
            self.manager.start(name)
        except MachineError as error:
            raise MachineError(f"{error}{_tail(log)}") from error

    def _stop(self, name: str) -> None:
        if not self.dry:
            self.others += [other for other in self.manager.stop(name) if other not in self.running]

    def _say(self, name: str, verb: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> None:
        texts = [json.dumps(part, indent=1, sort_keys=True) + "\n" if part else "" for part in (before, after)]
        self.changes.append(Change(f"service {name}", verb, *texts))


def _tail(log: str) -> str:
    try:
        text = Path(log).read_text(encoding="utf-8", errors="replace")[-LOG_TAIL:] if log else ""
    except OSError:
        return ""
    return f"; the end of {log}:\n{text}" if text else ""


def halt(name: str, manager: Manager, record: Record) -> None:
    """Stop a service that was made, if it runs. Raises MachineError."""
    if name in record.services and manager.settings(name) is not None and manager.is_running(name):
        manager.stop(name)


def undo(manager: Manager, record: Record, *, dry: bool) -> list[Change]:
    """Remove all services that were made. Raises MachineError."""
    names = [name for name in record.services if manager.settings(name) is not None]
    wanted = tuple(Service(name, state="absent") for name in names)
    changes = settle(wanted, manager, record, {}, dry=dry)
    if not dry:
        record.services.clear()
        record.save()
    return changes
