# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""win_command and win_ping."""

from __future__ import annotations

import subprocess
import time
from typing import Any

from .call import Call, Failed

SECONDS = 1800.0


def ping(call: Call) -> dict[str, Any]:
    """win_ping."""
    if call.get("data", "pong") == "crash":
        raise Failed("Unhandled exception while executing module: boom")
    return {"ping": call.get("data", "pong")}


def command(call: Call) -> dict[str, Any]:
    """win_command: a program without a shell, really run by Wine."""
    words = [str(word) for word in call.get("argv", [])]
    line = call.get("cmd") or call.get("_raw_params") or subprocess.list2cmdline(words)
    drive = call.computer.drive
    for name, wanted in (("creates", True), ("removes", False)):
        path = call.get(name)
        if path is not None and drive.exists(path) == wanted:
            exists = "exists" if wanted else "does not exist"
            return {"skipped": True, "msg": f"skipped, since {path} {exists}", "cmd": line, "rc": 0}
    if not words:
        raise Failed("STAND-IN: win_command with cmd is not modelled; give it argv", cmd=line)
    _find(call, words[0], line)
    begun = time.monotonic()
    folder = call.get("chdir")
    done = call.computer.run(
        *words, stdin=call.get("stdin") or "", seconds=SECONDS, environment=call.environment, folder=folder
    )
    result = {"changed": True, "cmd": line, "rc": done.returncode, "stdout": done.stdout, "stderr": done.stderr}
    result |= {"delta": f"0:00:{time.monotonic() - begun:09.6f}", "start": "", "end": ""}
    if done.returncode:
        raise Failed("non-zero return code", **result)
    return result


def _find(call: Call, program: str, line: str) -> None:
    """Fail as win_command does when there is no such program."""
    drive = call.computer.drive
    places = [program] if "\\" in program else [rf"C:\windows\system32\{program}", rf"C:\windows\{program}"]
    if not any(drive.is_file(place + suffix) for place in places for suffix in ("", ".exe")):
        message = (
            f"Failed to run: '{line}': Exception calling \"CreateProcess\": The system cannot find the file specified"
        )
        raise Failed(message, cmd=line, rc=2)
