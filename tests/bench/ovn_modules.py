# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""How fast modules write a northbound database, and what they need beside a large one.

Times of plays are those of the whole `ansible-playbook` on this machine, its start included.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "integration"))

from module_runner import PACKAGE, collections_path, run_module
from ovsdb_servers import Server

PORTS = 1000
LOOPED = 50
SWITCHES = 20


def report(name: str, value: float, unit: str) -> None:
    """One line of the result."""
    print(json.dumps({"name": name, "value": round(value, 2), "unit": unit}), flush=True)


@contextmanager
def northbound() -> Iterator[Server]:
    """An empty northbound database."""
    server = Server("OVN_Northbound")
    try:
        server.start()
        server.initialise()
        yield server
    finally:
        server.remove()


def network(ports: int) -> dict[str, Any]:
    """Ports with addresses on switches."""
    return {
        "switches": [{"name": f"sw{number}"} for number in range(SWITCHES)],
        "switch_ports": [
            {
                "name": f"p{number}",
                "switch": f"sw{number % SWITCHES}",
                "addresses": [f"0a:58:0a:00:{number >> 8:02x}:{number & 255:02x} 10.0.{number >> 8}.{number & 255}"],
                "port_security": [f"0a:58:0a:00:{number >> 8:02x}:{number & 255:02x}"],
                "external_ids": {"number": number},
            }
            for number in range(ports)
        ],
    }


def play(folder: Path, *tasks: Mapping[str, Any]) -> float:
    """Run tasks on this machine; seconds."""
    document = [{"hosts": "localhost", "gather_facts": False, "tasks": list(tasks)}]
    path = folder / "play.yml"
    path.write_text(json.dumps(document))
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "LC_ALL": "C.UTF-8",
        "ANSIBLE_COLLECTIONS_PATH": str(collections_path()),
        "ANSIBLE_PYTHON_INTERPRETER": sys.executable,
        "ANSIBLE_LOCALHOST_WARNING": "false",
    }
    command = [sys.executable, "-m", "ansible", "playbook", "-i", "localhost,", "-c", "local", str(path)]
    begun = time.monotonic()
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"the play failed:\n{done.stdout}{done.stderr}")
    return time.monotonic() - begun


def one_call_against_a_loop(folder: Path) -> None:
    """1000 ports by one task, again without anything to do, and by a command for each."""
    nothing = {"ansible.builtin.debug": {"msg": "nothing"}}
    with northbound() as server:
        task = {"ovn_k8s.cluster.ovn_nb": {"network": network(PORTS), "remote": server.remote}}
        empty = play(folder, nothing)
        report("ansible_empty_play_s", empty, "s")
        whole = play(folder, task)
        if len(server.rows("Logical_Switch_Port")) != PORTS:
            sys.exit("not all ports are there")
        report(f"ovn_nb_{PORTS}_ports_s", whole, "s")
        before = server.dump()
        report(f"ovn_nb_{PORTS}_ports_noop_s", play(folder, task), "s")
        if server.dump() != before:
            sys.exit("the second run has changed something")
    with northbound() as server:
        server.transact({"op": "insert", "table": "Logical_Switch", "row": {"name": "sw"}})
        command = f"ovn-nbctl --db={server.remote} --may-exist lsp-add sw p{{{{ item }}}}"
        looped = play(folder, {"ansible.builtin.command": command, "loop": list(range(LOOPED))})
    per_item = (looped - empty) / LOOPED
    report("ovn_nbctl_loop_item_s", per_item, "s")
    report("ovn_nbctl_loop_ratio", (empty + per_item * PORTS) / whole, "times")


RUN = """
import atexit, runpy, sys
peak = lambda: next(line for line in open("/proc/self/status") if line.startswith("VmHWM"))
atexit.register(lambda: sys.stderr.write(peak()))
runpy.run_module(sys.argv.pop(), run_name="__main__")
"""


def measured(name: str, /, **options: Any) -> tuple[float, float, float]:
    """Seconds, MiB and CPU seconds of a module in a process of its own, Python's start included."""
    command = [sys.executable, "-c", RUN, f"{PACKAGE}.{name}"]
    environment = {**os.environ, "PYTHONPATH": str(collections_path())}
    arguments = json.dumps({"ANSIBLE_MODULE_ARGS": options})
    begun, used = time.monotonic(), cpu_seconds()
    done = subprocess.run(command, input=arguments, capture_output=True, text=True, env=environment, check=False)
    seconds = time.monotonic() - begun
    if done.returncode or not json.loads(done.stdout)["changed"]:
        sys.exit(f"{name} failed, or had nothing to do: {done.stdout}{done.stderr}")
    return seconds, int(done.stderr.split()[-2]) / 1024, cpu_seconds() - used


def cpu_seconds() -> float:
    """Of all processes that we have waited for."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def beside_many(count: int = 10_000) -> None:
    """One object more or less, in a database of many ports."""
    with northbound() as server:
        run_module("ovn_nb", remote=server.remote, network=network(count), timeout=60)
        run_module("ovn_logical_router", remote=server.remote, name="edge")
        port = {"name": "p77", "addresses": ["unknown"]}
        calls: dict[str, dict[str, Any]] = {
            "ovn_logical_switch_port": port,
            "ovn_static_route": {"router": "edge", "prefix": "0.0.0.0/0", "nexthop": "192.0.2.1"},
            "ovn_port_group": {"name": "group", "ports": ["p1", "p2"]},
            "ovn_nb": {"network": {"switch_ports": [{"name": "p78", "addresses": ["unknown"]}]}},
        }
        taken = {name: measured(name, remote=server.remote, **options) for name, options in calls.items()}
    for name, (seconds, mebibytes, cpu) in taken.items():
        print(f"{name}: {seconds:.2f} s, {mebibytes:.0f} MiB, {cpu:.2f} s of CPU", file=sys.stderr)
    seconds, mebibytes, cpu = (max(values) for values in zip(*taken.values(), strict=True))
    report("module_10k_db_s", seconds, "s")
    report("module_10k_db_cpu_s", cpu, "s")
    report("module_10k_db_mib", mebibytes, "MiB")


def main() -> None:
    """Run all."""
    with tempfile.TemporaryDirectory() as folder:
        one_call_against_a_loop(Path(folder))
    beside_many()


if __name__ == "__main__":
    main()
