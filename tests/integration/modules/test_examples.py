# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""The examples in the documentation of each module over a database do what they say, and Ansible itself runs them."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from module_runner import ROOT, collections_path, run_module
from ovsdb_servers import Server

ELSEWHERE = {"ovs_flow", "ovn_cluster", "ovn_trace", "ovs_uplink"}
"""Modules that need more than a database: their own tests run their examples."""
MODULES = sorted({path.stem for path in (ROOT / "plugins/modules").glob("ov[ns]_*.py")} - ELSEWHERE)


def examples(name: str) -> list[dict[str, Any]]:
    tree = ast.parse((ROOT / f"plugins/modules/{name}.py").read_text())
    for node in tree.body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and node.targets[0].id == "EXAMPLES":
            assert isinstance(node.value, ast.Constant)
            return list(yaml.safe_load(str(node.value.value)))
    raise AssertionError(f"{name} has no examples")


@pytest.mark.parametrize("name", MODULES)
def test_examples(name: str, new_server: Callable[..., Server]) -> None:
    servers: dict[str, Server] = {}

    def server_for(module: str, options: dict[str, Any]) -> Server:
        if options.get("database") == "southbound" or module == "ovn_sb_info":
            database = "OVN_Southbound"
        else:
            database = "OVN_Northbound" if module.startswith("ovn_") else "Open_vSwitch"
        if database not in servers:
            servers[database] = new_server(database)
        return servers[database]

    for task in examples(name):
        ((action, options),) = ((key, value) for key, value in task.items() if key.startswith("ovn_k8s.cluster."))
        module, options = action.removeprefix("ovn_k8s.cluster."), dict(options or {})
        if module in ("ovs_bridge", "ovs_port"):
            options["wait"] = False
        server = server_for(module, options)
        before = server.dump()
        foretold = run_module(module, check=True, remote=server.remote, **options)
        assert server.dump() == before, task["name"]
        done = run_module(module, remote=server.remote, **options)
        assert done == foretold, task["name"]
        after = server.dump()
        assert done["changed"] == (after != before), task["name"]
        assert not run_module(module, remote=server.remote, **options)["changed"], task["name"]
        assert server.dump() == after, task["name"]


def test_a_play_with_group_defaults(nb_server: Server, ovs_server: Server, tmp_path: Path) -> None:
    play = {
        "hosts": "localhost",
        "gather_facts": False,
        "vars": {"ansible_python_interpreter": sys.executable},
        "module_defaults": {
            "group/ovn_k8s.cluster.ovn": {"remote": nb_server.remote},
            "group/ovn_k8s.cluster.ovs": {"remote": ovs_server.remote},
        },
        "tasks": [
            {"ovn_k8s.cluster.ovn_logical_switch": {"switches": [{"name": "web", "other_config": {"vlan": 5}}]}},
            {"ovn_k8s.cluster.ovs_config": {"external_ids": {"system-id": "a"}}},
            {"ovn_k8s.cluster.ovn_nb_info": {"tables": ["Logical_Switch"]}, "register": "content"},
            {"ansible.builtin.assert": {"that": ["content.tables.Logical_Switch[0].other_config.vlan == '5'"]}},
            {
                "ovn_k8s.cluster.ovn_logical_switch": {"switches": [{"name": "web", "load_balancers": ["none"]}]},
                "register": "refused",
                "ignore_errors": True,
            },
            {"ansible.builtin.assert": {"that": ["'does not exist; create it first' in refused.msg"]}},
        ],
    }
    (tmp_path / "play.yml").write_text(yaml.safe_dump([play]))
    environment = {
        "PATH": f"{Path(sys.executable).parent}:/usr/sbin:/usr/bin:/sbin:/bin",
        "HOME": str(tmp_path),
        "ANSIBLE_COLLECTIONS_PATH": str(collections_path()),
        "LC_ALL": "C.UTF-8",
    }
    command = [sys.executable, "-m", "ansible", "playbook", "-i", "localhost,", "-c", "local", "--diff", "play.yml"]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    assert [row["name"] for row in nb_server.rows("Logical_Switch")] == ["web"]
    assert ovs_server.rows("Open_vSwitch")[0]["external_ids"] == {"system-id": "a"}
