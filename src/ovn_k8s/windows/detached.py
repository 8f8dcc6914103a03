# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""A request to HNS that goes on when the connection of its caller breaks.

WinRM and OpenSSH end what a session has started when the session ends, and the creation of an external network ends
it. So the request becomes a service of its own for one run: the service control manager starts it, as SYSTEM and in
nobody's session. It deletes itself at its end; one that crashed is removed by the next that starts.
"""

from __future__ import annotations

import json
import sys
import time
import traceback
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pywintypes
import servicemanager
import win32service
import win32serviceutil
import winerror

from ovn_k8s.core.hns.errors import HnsError, InvalidObject

from . import hns
from .folders import data_folder, private

KEEP_SECONDS = 24 * 3600.0
"""How long a result that nobody fetched is kept."""
LOCKED_SECONDS = 90.0


class NotStarted(HnsError):
    """The service control manager did not start the request."""


def _folder() -> Path:
    folder = data_folder() / "requests"
    private(folder)
    return folder


def _name(job: str) -> str:
    return f"ovn-k8s-request-{job}"


def start(request: Mapping[str, Any], job: str = "") -> str:
    """Start a request; the job by which its result is found.

    A caller that gives the job itself may ask again when the connection broke before the answer came: a request that
    has been started is not started twice. Raises NotStarted, and InvalidObject for a job that cannot be one.
    """
    job = job or uuid.uuid4().hex[:12]
    if not (job.isalnum() and job.isascii() and len(job) <= 32):
        raise InvalidObject(f"job is {job!r}, not up to 32 letters and digits")
    folder = _folder()
    _forget_old(folder)
    if (folder / f"{job}.request.json").exists():
        return job
    (folder / f"{job}.request.json").write_text(json.dumps(request))
    command = f'"{sys.executable}" -m ovn_k8s.windows.detached {job}'
    manager = win32service.OpenSCManager(None, None, win32service.SC_MANAGER_ALL_ACCESS)
    try:
        service = win32service.CreateService(
            manager,
            _name(job),
            f"ovn-k8s request {job}",
            win32service.SERVICE_ALL_ACCESS,
            win32service.SERVICE_WIN32_OWN_PROCESS,
            win32service.SERVICE_DEMAND_START,
            win32service.SERVICE_ERROR_NORMAL,
            command,
            None,
            0,
            None,
            None,
            None,
        )
        try:
            _start(service)
        except pywintypes.error:
            win32service.DeleteService(service)
            raise
        finally:
            win32service.CloseServiceHandle(service)
    except pywintypes.error as error:
        raise NotStarted(
            f"the request could not be started as a service: {error.strerror} ({error.winerror})"
        ) from error
    finally:
        win32service.CloseServiceHandle(manager)
    return job


def _start(service: Any) -> None:
    """Start a service; while the machine boots, the database of services is locked for moments."""
    deadline = time.monotonic() + LOCKED_SECONDS
    while True:
        try:
            win32service.StartService(service, None)
            return
        except pywintypes.error as error:
            if error.winerror != winerror.ERROR_SERVICE_DATABASE_LOCKED or time.monotonic() > deadline:
                raise
        time.sleep(0.5)


def result(job: str) -> dict[str, Any]:
    """`{"running": true}`, or the answer to the request. Raises InvalidObject for a job that is not known."""
    if not job.isalnum():
        raise InvalidObject(f"job is {job!r}, which is none of ours")
    folder = _folder()
    request = folder / f"{job}.request.json"
    if not request.exists():
        raise InvalidObject(f"there is no request {job}")
    # In this order: a service that has ended has written its result before.
    running = _is_running(_name(job))
    done = folder / f"{job}.result.json"
    if done.exists():
        return {"running": False, "answer": json.loads(done.read_text())}
    if running:
        return {"running": True, "seconds": round(time.time() - request.stat().st_mtime, 1)}
    error = (
        f"request {job} was interrupted, by a restart of this machine or a crash; look at what is there and ask again"
    )
    return {"running": False, "answer": {"ok": False, "error": error, "kind": "Interrupted"}}


def _is_running(name: str) -> bool:
    try:
        return bool(win32serviceutil.QueryServiceStatus(name)[1] != win32service.SERVICE_STOPPED)
    except pywintypes.error:
        return False


def _forget_old(folder: Path) -> None:
    for file in folder.glob("*.json"):
        if time.time() - file.stat().st_mtime > KEEP_SECONDS:
            if file.name.endswith(".request.json"):
                _delete_service(_name(file.name.partition(".")[0]))
            file.unlink(missing_ok=True)


class _RequestService(win32serviceutil.ServiceFramework):  # type: ignore[misc]
    """Carries out one request and ends."""

    _svc_name_ = "ovn-k8s-request"
    job = ""

    def SvcDoRun(self) -> None:
        try:
            _carry_out(_folder(), self.job)
        finally:
            # Not earlier: under Wine a running service ends when it is deleted, though under Windows it does not.
            _delete_service(_name(self.job))

    def SvcStop(self) -> None:
        """HNS cannot be interrupted; the service ends when its request is done."""


def _delete_service(name: str) -> None:
    manager = win32service.OpenSCManager(None, None, win32service.SC_MANAGER_CONNECT)
    try:
        service = win32service.OpenService(manager, name, win32service.SERVICE_ALL_ACCESS)
        win32service.DeleteService(service)
        win32service.CloseServiceHandle(service)
    except pywintypes.error:
        # It is gone, or marked already.
        return
    finally:
        win32service.CloseServiceHandle(manager)


def _carry_out(folder: Path, job: str) -> None:
    try:
        answer = hns.respond(json.loads((folder / f"{job}.request.json").read_text()))
    except Exception as error:
        # Whoever asks for the result must learn of it; nobody else would.
        answer = {"ok": False, "error": "".join(traceback.format_exception(error)), "kind": "Unexpected"}
    new = folder / f"{job}.result.new"
    new.write_text(json.dumps(answer))
    new.replace(folder / f"{job}.result.json")


def main() -> None:
    """Run as the service of a request; started by the service control manager only."""
    _RequestService.job = sys.argv[1]
    servicemanager.Initialize(_name(_RequestService.job), None)
    servicemanager.PrepareToHostSingle(_RequestService)
    servicemanager.StartServiceCtrlDispatcher()


if __name__ == "__main__":
    main()
