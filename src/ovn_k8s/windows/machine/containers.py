# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""The containers of Kubernetes that containerd runs: they live on when it is stopped, so they are ended before."""

from __future__ import annotations

import subprocess
from pathlib import Path

NAMESPACE = "k8s.io"
SECONDS = 60


def remove_all(ctr: str) -> list[str]:
    """End and remove all containers of Kubernetes; the names of those that were there.

    Where there is no containerd, or it does not run, there is nothing to do.
    """
    if not ctr or not Path(ctr).exists():
        return []
    names = _lines(ctr, "containers", "list", "--quiet")
    for name in names:
        _lines(ctr, "tasks", "kill", "--signal", "SIGKILL", name)
        _lines(ctr, "tasks", "delete", "--force", name)
        _lines(ctr, "containers", "delete", name)
    return names


def _lines(ctr: str, *arguments: str) -> list[str]:
    command = [ctr, "--namespace", NAMESPACE, *arguments]
    try:
        null = subprocess.DEVNULL
        done = subprocess.run(command, capture_output=True, stdin=null, text=True, timeout=SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return []
    return done.stdout.split() if done.returncode == 0 else []
