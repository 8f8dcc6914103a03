# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""What the tasks of a role promise beside what they do: each tag can be run alone, and daemons follow their files."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar, trust_as_template

ROLES = Path(__file__).resolve().parents[3] / "roles"
NAMES = sorted(path.name for path in ROLES.iterdir() if path.is_dir())


def tasks(role: str) -> Iterator[dict[str, Any]]:
    """All tasks of the role with tags of their own; those of a block have the block's, too."""

    def flat(listed: list[dict[str, Any]], tags: tuple[str, ...]) -> Iterator[dict[str, Any]]:
        for task in listed:
            own = (*tags, *task.get("tags", ()))
            parts = [part for part in ("block", "rescue", "always") if part in task]
            for part in parts:
                yield from flat(task[part], own)
            if not parts:
                yield {**task, "tags": own}

    for file in sorted((ROLES / role / "tasks").glob("*.yml")):
        yield from flat(yaml.safe_load(file.read_text(encoding="utf-8")) or [], ())


@pytest.mark.parametrize("role", NAMES)
def test_each_tag_can_be_run_alone(role: str) -> None:
    """A task needs the results of those only that run whenever it does, or does without them."""
    listed = list(tasks(role))
    makers = {task["register"]: set(task["tags"]) for task in listed if "register" in task}
    missing = [
        f"{task['name']}: {name} with --tags {tag}"
        for task in listed
        for name in makers
        if re.search(rf"\b{name}\b(?! *\| *default)", yaml.safe_dump({**task, "register": "", "name": ""}, width=9999))
        for tag in set(task["tags"]) - {"always"}
        if tag not in makers[name] and "always" not in makers[name]
    ]
    assert not missing


@pytest.mark.parametrize("role", ["gateway", "master", "ovn_host"])
def test_a_daemon_starts_anew_with_each_key_that_it_reads(role: str) -> None:
    """A new key beside the old certificate, or the other way round, would end its next connection."""
    folder = ROLES / role
    read = {
        path
        for template in (folder / "templates").iterdir()
        for path in re.findall(r"/etc/ovn-k8s/pki/\w+\.(?:key|crt)", template.read_text(encoding="utf-8"))
    }
    lists = yaml.safe_load((folder / "vars/main.yml").read_text(encoding="utf-8"))
    watched = {path for name, paths in lists.items() if name.endswith("_reads") for path in paths}
    assert read
    assert read <= watched


@pytest.mark.parametrize("role", ["gateway", "master"])
def test_open_vswitch_s_rule_for_all_logs_does_not_rotate_ours(role: str) -> None:
    """Whose rule for a log is read first has it; a second one is an error unless the first says ignoreduplicates."""
    rules = [
        file["dest"].rpartition("/")[2]
        for task in tasks(role)
        for file in task.get("ovn_k8s.cluster.host_files", {}).get("files", ())
        if file["dest"].startswith("/etc/logrotate.d/")
    ]
    assert len(rules) == 1
    assert rules[0] < "openvswitch-switch"
    template = (ROLES / role / "templates/logrotate.j2").read_text(encoding="utf-8")
    assert {"copytruncate", "ignoreduplicates"} <= {line.strip() for line in template.splitlines()}


def test_a_machine_that_died_on_the_way_is_not_waited_for() -> None:
    """The others go on without it; the next run takes it in."""
    wait = next(task for task in tasks("ovn_host") if "Chassis" in str(task.get("ansible.builtin.command")))
    hosts = {name: {"node_name": name} for name in ("master", "linux1", "linux2")}
    variables = {
        "ansible_play_hosts": ["master", "linux1"],
        "cluster_inventory": {"hosts": hosts, "topology": {"nodes": [{"name": name} for name in hosts]}},
        "ovn_host_chassis": {"rc": 0, "stdout": "linux1\nmaster\n"},
    }

    def enough() -> object:
        templar = Templar(loader=DataLoader(), variables=variables)
        return templar.template(trust_as_template(f"{{{{ {wait['until']} }}}}"))

    assert enough() is True
    variables["ovn_host_chassis"] = {"rc": 0, "stdout": "master\n"}
    assert enough() is False
