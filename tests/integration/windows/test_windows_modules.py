# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""The modules for Windows machines, by Ansible over WinRM against the stand-in (evidence: emulated).

One machine and one play: booting one takes longer than all that is done on it.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml
from documented_results import check_result
from ovsdb_servers import free_port
from windows_machine import ROOT, unpacked
from working_tree import collections_path

from lab.windows.machine import RESTART

pytest.importorskip("winrm")
pytestmark = pytest.mark.timeout(900)

TASKS = r"""
- {name: blank check, ovn_k8s.cluster.windows_bundle: {}, check_mode: true}
- {name: blank check of host, ovn_k8s.cluster.windows_host: {absent: []}, check_mode: true}
- {name: blank check of hns, ovn_k8s.cluster.hns_network: {networks: []}, check_mode: true}
- {name: blank reset, ovn_k8s.cluster.windows_host: {state: reset}}
- {name: bundle, ovn_k8s.cluster.windows_bundle: {}}
- {name: bundle again, ovn_k8s.cluster.windows_bundle: {}}
- {name: no hns yet, ovn_k8s.cluster.hns_info: {}, ignore_errors: true}
- {name: feature, ansible.windows.win_feature: {name: [Containers]}}
- {name: restart, ansible.windows.win_reboot: {reboot_timeout: 200}}
- name: check refuses
  ovn_k8s.cluster.windows_check:
    {node_name: win1, node_ip: 203.0.113.1, datapath: hybrid_overlay, runtime: containerd}
  ignore_errors: true
- name: host foretold
  check_mode: true
  ovn_k8s.cluster.windows_host: &host
    directories: [{path: 'C:\ProgramData\demo', private: true}]
    files:
      - {path: 'C:\ProgramData\demo\settings.txt', content: one}
      - {path: 'C:\Program Files\demo\large.bin', src: "{{ playbook_dir }}/large.bin"}
      - {path: 'C:\ProgramData\demo\secret.key', content: not for everybody, sensitive: true}
    firewall: [{name: demo rule, protocol: udp, ports: "4789"}]
    services:
      - name: demo
        command: '"{{ programs }}\python.exe" -m ovn_k8s.windows.service'
        reads: ['C:\ProgramData\demo\settings.txt']
        state: stopped
- {name: host, ovn_k8s.cluster.windows_host: *host}
- {name: host again, ovn_k8s.cluster.windows_host: *host}
- name: network foretold
  check_mode: true
  ovn_k8s.cluster.hns_network: &network
    networks:
      - <<: &overlay {name: pods, type: Overlay, adapter: "{{ nic }}"}
        subnets: [{prefix: 10.244.5.0/24, gateway: 10.244.5.1, vsid: 4097}]
- {name: network, ovn_k8s.cluster.hns_network: *network}
- {name: network again, ovn_k8s.cluster.hns_network: *network}
- name: other subnet refused
  ignore_errors: true
  ovn_k8s.cluster.hns_network: &other
    networks: [{<<: *overlay, subnets: [{prefix: 10.244.6.0/24, gateway: 10.244.6.1, vsid: 4097}]}]
- {name: replacement foretold, ovn_k8s.cluster.hns_network: {<<: *other, replace: true}, check_mode: true}
- {name: replaced, ovn_k8s.cluster.hns_network: {<<: *other, replace: true}}
- {name: replaced again, ovn_k8s.cluster.hns_network: *other}
- name: a second network of the name
  ansible.windows.win_command:
    argv: ["{{ programs }}\\python.exe", -c, "{{ twin }}"]
- {name: duplicate refused, ovn_k8s.cluster.hns_network: {networks: [{name: pods}]}, ignore_errors: true}
- {name: info, ovn_k8s.cluster.hns_info: {gather: [networks]}}
- {name: reset, ovn_k8s.cluster.windows_host: {state: reset}}
- {name: reset again, ovn_k8s.cluster.windows_host: {state: reset}}
"""
TWIN = (
    "from ovn_k8s.windows.hcn_library import HcnLibrary; from ovn_k8s.windows.kinds import Kind;"
    "[HcnLibrary().create(Kind.NETWORK, {'Name': 'pods', 'Type': 'NAT'}) for _ in range(2)]"
)


def play() -> str:
    """The tasks, each with its result kept under its name."""
    lines = ["- hosts: win1", "  gather_facts: false", "  tasks:"]
    lines += [f"    {line}" for line in TASKS.strip().splitlines()]
    return "\n".join(lines) + "\n"


def supervise(command: list[str], running: list[subprocess.Popen[bytes]], ended: threading.Event) -> None:
    """The machine's power supply: it starts again when it wants to."""
    while not ended.is_set():
        running[:] = [subprocess.Popen(command, cwd=ROOT)]
        if running[0].wait() != RESTART:
            return


@pytest.fixture(scope="module")
def machine(base: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SimpleNamespace]:
    folder = tmp_path_factory.mktemp("win1")
    disk, keys, port = folder / "disk", folder / "keys", free_port()
    disk.mkdir()
    unpacked(base, disk)
    options = {"name": "win1", "management": "127.0.0.1", "underlay": "127.0.0.1", "port": str(port)}
    options |= {"folder": str(disk), "base": str(base), "credentials": str(keys), "images": str(folder)}
    command = [sys.executable, "-m", "lab.windows.machine"]
    command += [word for name, value in options.items() for word in (f"--{name}", value)]
    running: list[subprocess.Popen[bytes]] = []
    ended = threading.Event()
    thread = threading.Thread(target=supervise, args=(command, running, ended))
    thread.start()
    try:
        yield SimpleNamespace(folder=folder, keys=keys, port=port, disk=disk, supply=thread)
    finally:
        ended.set()
        running[0].terminate()
        thread.join(60)
        subprocess.run(["chmod", "-R", "u+w", str(folder)], check=False)


@pytest.fixture(scope="module")
def results(machine: SimpleNamespace) -> dict[str, Any]:
    """Result of each task by its name."""
    folder = machine.folder
    while not (machine.disk / "ready").exists():
        assert machine.supply.is_alive(), "the machine has ended before it was up"
        threading.Event().wait(0.5)
    (folder / "large.bin").write_bytes(os.urandom(3 << 20))
    (folder / "play.yml").write_text(play())
    host = {
        "ansible_host": "127.0.0.1",
        "ansible_connection": "winrm",
        "ansible_port": machine.port,
        "ansible_user": "Administrator",
        "ansible_password": (machine.keys / "password").read_text(),
        "ansible_winrm_transport": "ntlm",
        "ansible_winrm_ca_trust_path": str(machine.keys / "ca.crt"),
        "nic": "Ethernet",
        "programs": r"C:\Program Files\ovn-k8s" + "\\" + version(),
        "twin": TWIN,
    }
    (folder / "hosts.json").write_text(json.dumps({"all": {"hosts": {"win1": host}}}))
    command = [sys.executable, "-m", "ansible", "playbook", "-i", "hosts.json", "play.yml"]
    environment = {
        **os.environ,
        "ANSIBLE_COLLECTIONS_PATH": str(collections_path()),
        "ANSIBLE_CONFIG": str(folder / "ansible.cfg"),
    }
    (folder / "callback").mkdir()
    (folder / "callback" / "keep.py").write_text(CALLBACK)
    (folder / "ansible.cfg").write_text("[defaults]\ncallback_plugins = callback\ncallbacks_enabled = keep\n")
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=800, check=False
    )
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-3000:]
    found: dict[str, Any] = json.loads((folder / "results.json").read_text())
    return found


CALLBACK = """
import json
from ansible.plugins.callback import CallbackBase

class CallbackModule(CallbackBase):
    CALLBACK_VERSION, CALLBACK_TYPE, CALLBACK_NAME = 2.0, "aggregate", "keep"
    CALLBACK_NEEDS_ENABLED = True
    kept = {}

    def v2_runner_on_ok(self, result, **_):
        self.kept[result.task.get_name()] = json.loads(self._dump_results(result.result))

    v2_runner_on_failed = v2_runner_on_ok

    def v2_playbook_on_stats(self, stats):
        with open("results.json", "w") as stream:
            json.dump(self.kept, stream)
"""


def version() -> str:
    from ansible_collections.ovn_k8s.cluster.plugins.plugin_utils.windows_bundle import bundle_version  # noqa: PLC0415

    return bundle_version(ROOT)


def changed(results: dict[str, Any], *names: str) -> list[bool]:
    return [bool(results[name]["changed"]) for name in names]


def test_results_are_as_documented(results: dict[str, Any]) -> None:
    for task in yaml.safe_load(TASKS):
        for action in task:
            name = action.removeprefix("ovn_k8s.cluster.")
            if name != action and not task.get("ignore_errors"):
                check_result(name, results[task["name"]])


def test_the_bundle_comes_once(results: dict[str, Any]) -> None:
    assert changed(results, "blank check", "bundle", "bundle again") == [True, True, False]
    assert results["bundle"]["program_dir"].endswith(version())


def test_a_blank_machine_can_be_looked_at_and_reset(results: dict[str, Any]) -> None:
    assert changed(results, "blank check of host", "blank check of hns", "blank reset") == [True, True, False]
    assert "with the feature Containers, and a restart" in results["no hns yet"]["msg"]


def test_the_machine_is_judged(results: dict[str, Any]) -> None:
    # And by nothing but its adapters, which here are those of the machine that runs the tests.
    (problem,) = results["check refuses"]["msg"].splitlines()[1:]
    assert "ovn_k8s_node_ip = '203.0.113.1' is no address of the machine" in problem


def test_the_host_is_settled_as_foretold(results: dict[str, Any]) -> None:
    assert changed(results, "host foretold", "host", "host again", "reset", "reset again") == [
        True,
        True,
        False,
        True,
        False,
    ]
    assert sorted(results["host foretold"]["changes"]) == sorted(results["host"]["changes"])
    assert "not for everybody" not in json.dumps(results)


def test_a_network_is_made_although_the_connection_breaks(results: dict[str, Any]) -> None:
    assert changed(results, "network foretold", "network", "network again") == [True, True, False]
    assert results["network"]["disruptive"] is True
    assert results["network"]["actions"] == results["network foretold"]["actions"] == ["create network pods"]


def test_a_replacement_is_announced_and_done_on_demand(results: dict[str, Any]) -> None:
    assert "set replace: true" in results["other subnet refused"]["msg"]
    foretold, done = results["replacement foretold"], results["replaced"]
    assert foretold["actions"] == done["actions"] == ["delete network pods", "create network pods"]
    assert changed(results, "replaced", "replaced again") == [True, False]


def test_two_networks_of_one_name_are_refused(results: dict[str, Any]) -> None:
    assert "pods" in results["duplicate refused"]["msg"]
    assert [item["name"] for item in results["info"]["networks"]].count("pods") >= 2
