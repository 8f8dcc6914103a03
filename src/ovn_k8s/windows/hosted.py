# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""A console program as a Windows service: `python -m ovn_k8s.windows.hosted LOG PROGRAM ARGUMENT...`.

cri-dockerd is none: it never reports to the service control manager, which gives up on it after 30 s. What the program
prints goes into LOG. It ends with the service, also when that is killed; the service ends with it, as failed.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import servicemanager
import win32con
import win32event
import win32job
import win32service
import win32serviceutil
import winerror

LOG_BYTES = 5 << 20
"""How long a log may be when the program starts; the one before it is kept as LOG.1."""
END_MS = 20_000


class Hosted(win32serviceutil.ServiceFramework):  # type: ignore[misc]
    """The service; its name is whatever the service control manager calls it."""

    _svc_name_ = "hosted"

    def __init__(self, args: list[str]) -> None:
        super().__init__(args)
        self._stop = win32event.CreateEvent(None, True, False, None)

    def SvcRun(self) -> None:
        """Run the program until it ends, or until told to stop."""
        log, *command = sys.argv[1:]
        try:
            code = self._run(Path(log), command)
        except OSError as error:
            servicemanager.LogErrorMsg(f"{command[0]} cannot be started: {error}")
            code = 1
        if code is None:
            self.ReportServiceStatus(win32service.SERVICE_STOPPED)
            return
        failed = winerror.ERROR_SERVICE_SPECIFIC_ERROR
        self.ReportServiceStatus(win32service.SERVICE_STOPPED, win32ExitCode=failed, svcExitCode=code or 1)

    def _run(self, log: Path, command: list[str]) -> int | None:
        """The exit status of a program that ended by itself. Raises OSError."""
        if log.exists() and log.stat().st_size > LOG_BYTES:
            log.replace(log.with_name(f"{log.name}.1"))
        job = _job()
        with log.open("ab") as stream:
            program = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=stream, stderr=subprocess.STDOUT)
        handle = int(program._handle)  # type: ignore[attr-defined]
        win32job.AssignProcessToJobObject(job, handle)
        self.ReportServiceStatus(win32service.SERVICE_RUNNING)
        first = win32event.WaitForMultipleObjects([self._stop, handle], False, win32event.INFINITE)
        if first != win32con.WAIT_OBJECT_0:
            return program.wait()
        win32job.TerminateJobObject(job, 0)
        win32event.WaitForSingleObject(handle, END_MS)
        return None

    def SvcStop(self) -> None:
        self.ReportServiceStatus(win32service.SERVICE_STOP_PENDING, waitHint=END_MS)
        win32event.SetEvent(self._stop)

    SvcShutdown = SvcStop


def _job() -> object:
    """A job whose processes end when its last handle is closed, and so with this process."""
    job = win32job.CreateJobObject(None, "")
    limits = win32job.QueryInformationJobObject(job, win32job.JobObjectExtendedLimitInformation)
    limits["BasicLimitInformation"]["LimitFlags"] |= win32job.JOB_OBJECT_LIMIT_KILL_ON_JOB_CLOSE
    win32job.SetInformationJobObject(job, win32job.JobObjectExtendedLimitInformation, limits)
    return job


def main() -> int:
    """What the service control manager starts; the exit status."""
    if len(sys.argv) < 3:
        print(__doc__, file=sys.stderr)
        return 2
    servicemanager.Initialize()
    servicemanager.PrepareToHostSingle(Hosted)
    servicemanager.StartServiceCtrlDispatcher()
    return 0


if __name__ == "__main__":
    sys.exit(main())
