# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""Who of several masters makes OVN's databases, whom the others join, and who stays: the roles on real files."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from module_runner import collections_path
from ovsdb_servers import SCHEMAS, missing

ADDRESSES = {"a": "192.0.2.11", "b": "192.0.2.12", "c": "192.0.2.13"}
DATABASES = {"nb": "OVN_Northbound", "sb": "OVN_Southbound"}
ONE_OF_SEVERAL = "one that was one of several is to be the only one"
CASES: dict[str, dict[str, tuple[str, str]]] = {
    "all are blank": {},
    "one grows, and is not the first": {"b": ("alone", "alone")},
    "the first was set up anew": {"b": ("clustered", "clustered"), "c": ("clustered", "clustered")},
    "the first waits to be let in": {"a": ("joining", "joining"), "c": ("clustered", "clustered")},
    "the southbound ones were removed": dict.fromkeys(ADDRESSES, ("clustered", "none")),
    "nothing is to be done": dict.fromkeys(ADDRESSES, ("clustered", "clustered")),
    "two have their own": {"a": ("alone", "alone"), "c": ("alone", "alone")},
    ONE_OF_SEVERAL: {"a": ("clustered", "clustered")},
}
"""What is on the masters' disks: host -> state of the northbound and of the southbound database."""


def make(file: Path, schema: str, state: str) -> None:
    """A database as ovn-ctl leaves it."""
    arguments: dict[str, list[str | Path]] = {
        "alone": ["create", file, SCHEMAS[schema]],
        "clustered": ["create-cluster", file, SCHEMAS[schema], "tcp:127.0.0.1:6643"],
        "joining": ["join-cluster", file, schema, "tcp:127.0.0.1:6643", "tcp:127.0.0.2:6643"],
    }
    if state in arguments:
        subprocess.run(["ovsdb-tool", *arguments[state]], check=True, capture_output=True)


def play(folder: Path) -> list[dict[str, Any]]:
    """Every case through the role's own tasks, as the first master sees it; what comes out is written down."""
    role = {"name": "ovn_k8s.cluster.ovn_central", "tasks_from": "origins", "public": True}
    answer = {"begins": "{{ ovn_central_begins }}", "options": "{{ ovn_central_first_options }}"}
    tasks = []
    for number, name in enumerate(CASES):
        dest = f"{folder}/{number}.json"
        tasks.append(
            {
                "name": name,
                "vars": {"ovn_central_folder": f"{folder}/{number}/{{{{ item }}}}", "answer": answer}
                | ({"ovn_central_several": False} if name == ONE_OF_SEVERAL else {}),
                "block": [
                    {"ansible.builtin.include_role": role},
                    {"ansible.builtin.copy": {"dest": dest, "content": "{{ answer | to_json }}"}},
                ],
                "rescue": [
                    {
                        "ansible.builtin.copy": {
                            "dest": dest,
                            "content": "{{ {'said': ansible_failed_result} | to_json }}",
                        }
                    }
                ],
            }
        )
    roles = collections_path() / "ansible_collections/ovn_k8s/cluster/roles"
    staying = {
        "masters": "{{ cluster_staying_masters }}",
        "etcd": "{{ kubernetes_etcd_staying | items2dict }}",
    }
    tasks += [
        {"ansible.builtin.include_vars": f"{roles}/{role}/vars/main.yml"} for role in ("cluster", "kubernetes_etcd")
    ]
    tasks.append(
        {
            "ansible.builtin.copy": {"dest": f"{folder}/staying.json", "content": "{{ staying | to_json }}"},
            "vars": {"staying": staying},
        }
    )
    return [{"hosts": "a", "connection": "local", "gather_facts": False, "tasks": tasks}]


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What the role says of each case."""
    if reason := missing():
        pytest.skip(reason)
    folder = tmp_path_factory.mktemp("origins")
    for number, states in enumerate(CASES.values()):
        for host in ADDRESSES:
            home = folder / str(number) / host
            home.mkdir(parents=True)
            for (database, schema), state in zip(DATABASES.items(), states.get(host, ("none", "none")), strict=True):
                make(home / f"ovn{database}_db.db", schema, state)
    inventory = {"masters": {"hosts": {host: {"ovn_k8s_node_ip": address} for host, address in ADDRESSES.items()}}}
    (folder / "inventory.yml").write_text(yaml.safe_dump(inventory), encoding="utf-8")
    (folder / "play.yml").write_text(yaml.safe_dump(play(folder)), encoding="utf-8")
    done = subprocess.run(
        [Path(sys.executable).with_name("ansible-playbook"), "-i", "inventory.yml", "play.yml"],
        cwd=folder,
        env={
            **os.environ,
            "ANSIBLE_COLLECTIONS_PATH": str(collections_path()),
            "ANSIBLE_PYTHON_INTERPRETER": sys.executable,
            "ANSIBLE_LOCAL_TEMP": str(folder / "tmp"),
            "ANSIBLE_REMOTE_TEMP": str(folder / "tmp"),
            "ANSIBLE_NOCOLOR": "1",
        },
        capture_output=True,
        text=True,
        check=False,
    )
    files: dict[str, Path] = {"staying": folder / "staying.json"}
    files |= {name: folder / f"{number}.json" for number, name in enumerate(CASES)}
    assert all(file.exists() for file in files.values()), done.stdout + done.stderr
    return {name: json.loads(file.read_text(encoding="utf-8")) for name, file in files.items()}


@pytest.mark.parametrize(
    ("case", "joined"),
    [
        ("all are blank", ("", "")),
        ("one grows, and is not the first", ("b", "b")),
        ("the first was set up anew", ("b", "b")),
        ("the first waits to be let in", ("c", "c")),
        ("the southbound ones were removed", ("b", "")),
        ("nothing is to be done", None),
    ],
)
def test_whom_the_first_master_joins(answers: dict[str, Any], case: str, joined: tuple[str, str] | None) -> None:
    """The names of the masters that it asks for the two databases; empty where it makes them itself."""
    answer = answers[case]
    assert answer["begins"] == (joined is not None), answer
    for database, master in zip(DATABASES, joined or (), strict=False):
        option = f"--db-{database}-cluster-remote-addr="
        asked = [word.removeprefix(option) for word in " ".join(answer["options"]).split() if word.startswith(option)]
        assert asked == ([ADDRESSES[master]] if master else [])


def test_of_two_clusters_none_is_chosen(answers: dict[str, Any]) -> None:
    assert "a and c have databases of OVN of their own" in json.dumps(answers["two have their own"]["said"])


def test_several_masters_do_not_become_one(answers: dict[str, Any]) -> None:
    assert "Several masters do not become one again" in json.dumps(answers[ONE_OF_SEVERAL]["said"])


def test_a_master_that_is_reset_alone_leaves_the_others(answers: dict[str, Any]) -> None:
    """The play has one host of three, as with `--limit`."""
    assert answers["staying"] == {
        "masters": ["b", "c"],
        "etcd": {host: f"https://{ADDRESSES[host]}:2380" for host in "bc"},
    }
