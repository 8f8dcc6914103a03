# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""Running programs: in a namespace, quietly, with their output in the error when they fail."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from .settings import LabError, Settings


def run(
    command: Sequence[str | Path],
    *,
    stdin: str | None = None,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
) -> str:
    """Run a program to its end and return its standard output.

    Raises LabError with the command and the end of its output when it fails, or when it is not installed.
    """
    words = [str(word) for word in command]
    try:
        done = subprocess.run(words, check=False, input=stdin, env=env, cwd=cwd, capture_output=True, text=True)
    except FileNotFoundError as error:
        raise LabError(f"{error.filename} is not there: make host-packages installs what the lab needs") from error
    if done.returncode:
        output = (done.stdout + done.stderr).strip()[-4000:]
        raise LabError(f"{' '.join(words)} failed with status {done.returncode}:\n{output}")
    return done.stdout


def works(command: Sequence[str | Path]) -> bool:
    """Run a program quietly and say whether it succeeded."""
    return subprocess.run([str(word) for word in command], check=False, capture_output=True).returncode == 0


def in_namespace(settings: Settings, part: str, command: Sequence[str | Path]) -> list[str]:
    """The command line that runs ``command`` in one of the lab's network namespaces."""
    return ["nsenter", f"--net=/run/netns/{settings.namespace(part)}", "--", *(str(word) for word in command)]


def enter(cgroups: Sequence[Path], command: Sequence[str | Path]) -> list[str]:
    """The command line that moves itself into control groups and then becomes ``command``."""
    script = (
        'for group; do [ "$group" = -- ] && break; echo 0 > "$group/cgroup.procs" || exit; shift; done\n'
        'shift; exec "$@"'
    )
    return ["sh", "-c", script, "sh", *(str(group) for group in cgroups), "--", *(str(word) for word in command)]


def start(command: Sequence[str | Path], log: Path, *, cwd: Path | None = None) -> int:
    """Start a program that outlives this one, with its output in ``log``; returns its process id.

    It inherits no descriptor of ours, so that nobody who waits for the end of our output waits for it.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("a") as stream:
        child = subprocess.Popen(
            [str(word) for word in command],
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=stream,
            start_new_session=True,
            cwd=cwd,
        )
    return child.pid
