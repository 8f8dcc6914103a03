# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""The few PowerShell texts that Ansible itself sends outside of modules, each with what it does.

There is no PowerShell here. A text that is not in the list is refused, loudly.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass

from .computer import Computer
from .drive import DriveError

FILETIME_OF_1970 = 11644473600
"""Seconds from 1601, where Windows begins to count in 100 ns."""
SKIPPED_LOGON = r"HKLM:\SOFTWARE\Microsoft\Windows NT\CurrentVersion\Winlogon\AutoLogonChecked"


@dataclass(frozen=True)
class Outcome:
    """What a script said, and its exit code."""

    stdout: str = ""
    stderr: str = ""
    status: int = 0


Script = Callable[[Computer, "re.Match[str]"], Outcome]


def run(computer: Computer, body: str) -> Outcome | None:
    """Carry out a script, or None for one that nobody knows."""
    for pattern, script in _KNOWN:
        match = re.match(pattern, body, re.DOTALL | re.IGNORECASE)
        if match:
            return script(computer, match)
    return None


def _remove(computer: Computer, match: re.Match[str]) -> Outcome:
    try:
        computer.drive.remove(match["path"].replace("''", "'"))
    except DriveError as error:
        return Outcome(stderr=str(error), status=1)
    return Outcome()


def _exists(computer: Computer, match: re.Match[str]) -> Outcome:
    status = 0 if computer.drive.exists(match["path"].replace("''", "'")) else 1
    return Outcome(f"{status}\r\n", status=status)


def _boot_time(computer: Computer, _: re.Match[str]) -> Outcome:
    return Outcome(str(int((computer.memory.boot + FILETIME_OF_1970) * 10_000_000)))


def _restart(computer: Computer, match: re.Match[str]) -> Outcome:
    computer.restart_in(float(match["seconds"]))
    return Outcome(json.dumps({"stdout": "", "stderr": "", "rc": 0}) + "\r\n")


def _success(_: Computer, match: re.Match[str]) -> Outcome:
    return Outcome(match["word"] + "\r\n")


def _hostname(computer: Computer, _: re.Match[str]) -> Outcome:
    return Outcome(computer.memory.hostname + "\r\n")


_KNOWN: tuple[tuple[str, Script], ...] = (
    (r"Remove-Item '(?P<path>.*)' -Force(?: -Recurse)?;?$", _remove),
    (r"If \(Test-Path '(?P<path>.*?)'\)\s*\{\s*\$res = 0;", _exists),
    (
        r"\(Get-CimInstance -ClassName Win32_OperatingSystem -Property LastBootUpTime\)"
        r"\.LastBootUpTime\.ToFileTime\(\)$",
        _boot_time,
    ),
    (r"\$ErrorActionPreference = 'Continue'.*shutdown\.exe /r /t (?P<seconds>\d+) /c .*? \|", _restart),
    (rf"Get-Item -LiteralPath '{re.escape(SKIPPED_LOGON)}' -ErrorAction Stop; '(?P<word>success-[\w-]+)'", _success),
    (r"hostname(\.exe)?$", _hostname),
)
