# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""A lab of the tests' own, beside one that a person may have running."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

TREE = Path(__file__).resolve().parents[2]
FINGERPRINT = Path(__file__).with_name("fingerprint.py").read_text()
LAB_NAME = "ovnk8stest"


@dataclass
class PlayRun:
    """What a playbook run came to; `hosts` is Ansible's recap: {host: {"changed": 0, …}}."""

    status: int
    seconds: float
    output: str
    hosts: dict[str, dict[str, int]] = field(default_factory=dict)


def recap(output: str) -> dict[str, dict[str, int]]:
    """Read the last `PLAY RECAP` of an Ansible run."""
    hosts = {}
    for line in output.rpartition("PLAY RECAP")[2].splitlines()[1:]:
        name, _, numbers = line.partition(" : ")
        if numbers.startswith("ok="):
            hosts[name.strip()] = {key: int(n) for key, _, n in (pair.partition("=") for pair in numbers.split())}
    return hosts


class Lab:
    """The lab's machines, reached as a person reaches them."""

    nodes = ("master", "linux1", "linux2", "gw")

    def __init__(self) -> None:
        self.environment = {**os.environ, "LAB_NAME": LAB_NAME, "ANSIBLE_NOCOLOR": "1"}

    def command(self, *words: str, seconds: float = 120, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
        """Run `python3 -m lab WORDS`."""
        return subprocess.run(
            [sys.executable, "-m", "lab", *words],
            cwd=TREE,
            env=self.environment,
            input=stdin,
            stdin=subprocess.DEVNULL if stdin is None else None,
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
        )

    def on(self, node: str, *words: str, stdin: str | None = None, seconds: float = 60) -> str:
        """Run a command on a machine over ssh and return what it printed; a failure fails the test."""
        done = self.command("ssh", node, *words, seconds=seconds, stdin=stdin)
        assert done.returncode == 0, f"{node}: {words}: {done.stdout}{done.stderr}"
        return done.stdout

    def kubectl(self, *words: str, stdin: str | None = None, seconds: float = 60) -> str:
        """Run kubectl from the control machine."""
        done = self.command("exec", "kubectl", *words, stdin=stdin, seconds=seconds)
        assert done.returncode == 0, f"kubectl {words}: {done.stdout}{done.stderr}"
        return done.stdout

    def play(self, playbook: str, *options: str, seconds: float = 600) -> PlayRun:
        """Run a playbook of the collection with the lab's inventory. Its output is shown as the test's."""
        begin = time.monotonic()
        words = ["ansible-playbook", "-i", "inventories/lab", f"playbooks/{playbook}", *options]
        done = self.command("exec", *words, seconds=seconds)
        output = done.stdout + done.stderr
        print(output)
        return PlayRun(done.returncode, time.monotonic() - begin, output, recap(output))

    def fingerprints(self) -> dict[str, dict[str, object]]:
        """What there is on each machine, for comparison."""
        return {node: json.loads(self.on(node, "python3", "-", stdin=FINGERPRINT)) for node in self.nodes}


@pytest.fixture(scope="session")
def lab() -> Iterator[Lab]:
    """A lab with blank machines; nothing of it is left behind."""
    fresh = Lab()
    assert fresh.command("down", seconds=180).returncode == 0
    up = fresh.command("up", seconds=2400)
    assert up.returncode == 0, up.stdout + up.stderr
    yield fresh
    down = fresh.command("down", seconds=180)
    assert down.returncode == 0, down.stdout + down.stderr
