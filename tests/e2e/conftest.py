# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""A lab of the tests' own, beside one that a person may have running, and one cluster on it for all modules.

With OVN_K8S_TEST_LAB the tests take the lab of that name as it is, and leave it running.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

TREE = Path(__file__).resolve().parents[2]
FINGERPRINT = Path(__file__).with_name("fingerprint.py").read_text()
GIVEN = os.environ.get("OVN_K8S_TEST_LAB", "")
LAB_NAME = GIVEN or "ovnk8stest"
STATE = Path(os.environ.get("LAB_STATE", f"/var/lib/{'ovn-k8s' if LAB_NAME == 'ovnk8s' else LAB_NAME}-lab"))
"""As lab/README.md has it."""
PLACES = {"test_lab_machines": 0, "test_cluster": 1, "test_reset": 3}
"""Modules that have their place in the order; the others come at 2. The lab of the first is its own."""


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

    def fingerprints(self) -> dict[str, dict[str, Any]]:
        """What there is on each machine, for comparison."""
        with ThreadPoolExecutor(len(self.nodes)) as pool:
            found = pool.map(lambda node: self.on(node, "python3", "-", stdin=FINGERPRINT), self.nodes)
        return {node: json.loads(text) for node, text in zip(self.nodes, found, strict=True)}

    def has_cluster(self) -> bool:
        """Whether site.yml has come to its end: nodes are ready, and the gateway's helper runs."""
        wait = ("kubectl", "wait", "--for=condition=Ready", "nodes", "--all", "--timeout=20s")
        helper = ("systemctl", "is-active", "--quiet", "ovn-k8s-gateway-helper.service")
        return self.command("exec", *wait).returncode == 0 and self.command("ssh", "gw", *helper).returncode == 0


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Modules in the order of a cluster's life; tests of other folders keep their places."""
    here = [number for number, item in enumerate(items) if item.path.parent == Path(__file__).parent]
    own = sorted((items[number] for number in here), key=lambda item: PLACES.get(item.path.stem, 2))
    for number, item in zip(here, own, strict=True):
        items[number] = item


def differences(before: dict[str, Any], after: dict[str, Any]) -> dict[str, Any]:
    """What came, went or changed on a machine, by kind; empty when it is as it was."""
    found: dict[str, Any] = {}
    for kind, was in before.items():
        now = after[kind]
        if isinstance(was, dict):
            changed = {key: (was.get(key), now.get(key)) for key in {*was, *now} if was.get(key) != now.get(key)}
        else:
            changed = {"gone": sorted(set(was) - set(now)), "come": sorted(set(now) - set(was))}
            changed = {key: value for key, value in changed.items() if value}
        if changed:
            found[kind] = changed
    return found


def assert_same(before: dict[str, dict[str, Any]], after: dict[str, dict[str, Any]]) -> None:
    changed = {node: differences(before[node], after[node]) for node in before}
    assert not any(changed.values()), json.dumps(changed, indent=2)


@pytest.fixture(scope="session")
def lab() -> Iterator[Lab]:
    """A lab with blank machines; nothing of it is left behind."""
    fresh = Lab()
    if GIVEN:
        yield fresh
        return
    assert fresh.command("down", seconds=180).returncode == 0
    up = fresh.command("up", seconds=2400)
    assert up.returncode == 0, up.stdout + up.stderr
    yield fresh
    down = fresh.command("down", seconds=180)
    assert down.returncode == 0, down.stdout + down.stderr


@pytest.fixture(scope="session")
def blank(lab: Lab) -> dict[str, dict[str, Any]]:
    """What the machines were before anything touched them."""
    return lab.fingerprints()


@pytest.fixture(scope="session")
def cluster(lab: Lab, blank: dict[str, dict[str, Any]]) -> Lab:
    """The lab with a cluster, by whichever test it was made."""
    if not lab.has_cluster():
        assert lab.play("site.yml").status == 0
    return lab
