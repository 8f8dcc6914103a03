# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""The service control manager, through pywin32."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import pywintypes
import win32service
import winerror

from . import registry
from .errors import MachineError
from .services import Service

START_SECONDS = 120.0
FORGET_FAILURES_SECONDS = 3600
_KEY = r"SYSTEM\CurrentControlSet\Services"
_STARTS = {"auto": win32service.SERVICE_AUTO_START, "manual": win32service.SERVICE_DEMAND_START}
_STARTS["delayed"] = _STARTS["auto"]
_GONE = (winerror.ERROR_SERVICE_DOES_NOT_EXIST, winerror.ERROR_SERVICE_MARKED_FOR_DELETE)
_UNKNOWN = (winerror.ERROR_INVALID_LEVEL, winerror.ERROR_CALL_NOT_IMPLEMENTED, winerror.ERROR_NOT_SUPPORTED)
"""What a service control manager says about settings that it does not keep."""


class ServiceControl:
    """One connection to it for each call, so that a deleted service is not held."""

    def settings(self, name: str) -> dict[str, Any] | None:
        try:
            with _service(name) as service:
                config = win32service.QueryServiceConfig(service)
                found: dict[str, Any] = {
                    "command": config[3],
                    "display_name": config[8],
                    "depends": sorted(_values(name, "DependOnService"), key=str.lower),
                    "environment": _environment(name),
                }
                starts = {win32service.SERVICE_AUTO_START: "auto", win32service.SERVICE_DEMAND_START: "manual"}
                found["start"] = starts.get(config[1], "disabled")
                return found | _further(service, found["start"])
        except pywintypes.error as error:
            if error.winerror in _GONE:
                return None
            raise _said(f"service {name} cannot be read", error) from error

    def is_running(self, name: str) -> bool:
        return _state(name) not in (win32service.SERVICE_STOPPED, None)

    def create(self, service: Service) -> None:
        manager = win32service.OpenSCManager(None, None, win32service.SC_MANAGER_ALL_ACCESS)
        try:
            made = win32service.CreateService(
                manager,
                service.name,
                service.display_name or service.name,
                win32service.SERVICE_ALL_ACCESS,
                win32service.SERVICE_WIN32_OWN_PROCESS,
                _STARTS[service.start],
                win32service.SERVICE_ERROR_NORMAL,
                service.command,
                None,
                0,
                list(service.depends) or None,
                None,
                None,
            )
            win32service.CloseServiceHandle(made)
        except pywintypes.error as error:
            raise _said(f"service {service.name} cannot be made", error) from error
        finally:
            win32service.CloseServiceHandle(manager)
        self._further(service)

    def change(self, service: Service) -> None:
        try:
            with _service(service.name) as handle:
                # An empty list of dependencies removes them; None would leave them.
                win32service.ChangeServiceConfig(
                    handle,
                    win32service.SERVICE_WIN32_OWN_PROCESS,
                    _STARTS[service.start],
                    win32service.SERVICE_ERROR_NORMAL,
                    service.command,
                    None,
                    0,
                    list(service.depends),
                    None,
                    None,
                    service.display_name or service.name,
                )
        except pywintypes.error as error:
            raise _said(f"service {service.name} cannot be changed", error) from error
        self._further(service)

    def _further(self, service: Service) -> None:
        actions = [(win32service.SC_ACTION_RESTART, milliseconds) for milliseconds in service.recovery_ms]
        recovery = {"ResetPeriod": FORGET_FAILURES_SECONDS, "RebootMsg": "", "Command": "", "Actions": actions}
        settings = [
            (win32service.SERVICE_CONFIG_DESCRIPTION, service.description),
            (win32service.SERVICE_CONFIG_FAILURE_ACTIONS, recovery),
            # Also when it ends by itself with an error, not only when it crashes.
            (win32service.SERVICE_CONFIG_FAILURE_ACTIONS_FLAG, bool(actions)),
        ]
        if service.start != "manual":
            settings.append((win32service.SERVICE_CONFIG_DELAYED_AUTO_START_INFO, service.start == "delayed"))
        with _service(service.name) as handle:
            for level, value in settings:
                try:
                    win32service.ChangeServiceConfig2(handle, level, value)
                except pywintypes.error as error:
                    if error.winerror not in _UNKNOWN:
                        raise _said(f"service {service.name} cannot be changed", error) from error
        lines = [f"{name}={value}" for name, value in sorted(service.environment.items())]
        registry.set_texts(rf"{_KEY}\{service.name}", "Environment", lines)

    def delete(self, name: str) -> None:
        try:
            with _service(name) as service:
                win32service.DeleteService(service)
        except pywintypes.error as error:
            if error.winerror not in _GONE:
                raise _said(f"service {name} cannot be removed", error) from error

    def start(self, name: str) -> None:
        deadline = time.monotonic() + START_SECONDS
        while True:
            try:
                with _service(name) as service:
                    win32service.StartService(service, None)
                break
            except pywintypes.error as error:
                if error.winerror == winerror.ERROR_SERVICE_ALREADY_RUNNING:
                    break
                # While the machine boots, the database of services is locked for moments.
                if error.winerror != winerror.ERROR_SERVICE_DATABASE_LOCKED or time.monotonic() > deadline:
                    raise _said(f"service {name} cannot be started", error) from error
            time.sleep(0.5)
        _wait(lambda: _state(name) in (win32service.SERVICE_RUNNING, win32service.SERVICE_STOPPED), deadline)
        if _state(name) != win32service.SERVICE_RUNNING:
            raise MachineError(f"service {name} does not start: {_ending(name)}")

    def stop(self, name: str) -> list[str]:
        stopped: list[str] = []
        for other in _dependents(name):
            stopped += [other, *self.stop(other)]
        try:
            with _service(name) as service:
                win32service.ControlService(service, win32service.SERVICE_CONTROL_STOP)
        except pywintypes.error as error:
            if error.winerror not in (*_GONE, winerror.ERROR_SERVICE_NOT_ACTIVE):
                raise _said(f"service {name} cannot be stopped", error) from error
        if not _wait(lambda: not self.is_running(name), time.monotonic() + START_SECONDS):
            raise MachineError(f"service {name} does not stop within {START_SECONDS:g} s")
        return stopped


@contextmanager
def _service(name: str) -> Iterator[Any]:
    manager = win32service.OpenSCManager(None, None, win32service.SC_MANAGER_CONNECT)
    try:
        service = win32service.OpenService(manager, name, win32service.SERVICE_ALL_ACCESS)
        try:
            yield service
        finally:
            win32service.CloseServiceHandle(service)
    finally:
        win32service.CloseServiceHandle(manager)


def _state(name: str) -> int | None:
    try:
        with _service(name) as service:
            return int(win32service.QueryServiceStatus(service)[1])
    except pywintypes.error as error:
        if error.winerror in _GONE:
            return None
        raise _said(f"service {name} cannot be read", error) from error


def _ending(name: str) -> str:
    with _service(name) as service:
        status = win32service.QueryServiceStatus(service)
    if status[3] == winerror.ERROR_SERVICE_SPECIFIC_ERROR:
        return f"it ended with its own error {status[4]}"
    return f"it ended with error {status[3]}"


def _dependents(name: str) -> list[str]:
    try:
        with _service(name) as service:
            found = win32service.EnumDependentServices(service, win32service.SERVICE_ACTIVE)
    except pywintypes.error as error:
        if error.winerror in (*_GONE, *_UNKNOWN):
            return []
        raise _said(f"what depends on service {name} cannot be read", error) from error
    return [str(entry[0]) for entry in found]


def _further(service: Any, start: str) -> dict[str, Any]:
    """Settings that not every service control manager tells."""
    found: dict[str, Any] = {}
    with suppress(pywintypes.error):
        found["description"] = win32service.QueryServiceConfig2(service, win32service.SERVICE_CONFIG_DESCRIPTION) or ""
    with suppress(pywintypes.error):
        flag = win32service.QueryServiceConfig2(service, win32service.SERVICE_CONFIG_FAILURE_ACTIONS_FLAG)
        failure = win32service.QueryServiceConfig2(service, win32service.SERVICE_CONFIG_FAILURE_ACTIONS)
        actions = failure.get("Actions") or ()
        restarts = [delay for action, delay in actions if action == win32service.SC_ACTION_RESTART]
        found["recovery_ms"] = restarts if flag or not restarts else []
    if start == "auto":
        with suppress(pywintypes.error):
            if win32service.QueryServiceConfig2(service, win32service.SERVICE_CONFIG_DELAYED_AUTO_START_INFO):
                found["start"] = "delayed"
    return found


def _environment(name: str) -> dict[str, str]:
    pairs = (line.partition("=") for line in _values(name, "Environment"))
    return {key: value for key, _equals, value in sorted(pairs)}


def _values(name: str, value: str) -> list[str]:
    """A list of texts as the service control manager stores it."""
    return [str(text) for text in registry.value(rf"{_KEY}\{name}", value) or []]


def _wait(condition: Callable[[], bool], deadline: float) -> bool:
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.2)
    return True


def _said(what: str, error: pywintypes.error) -> MachineError:
    return MachineError(f"{what}: {error.strerror} ({error.winerror})")
