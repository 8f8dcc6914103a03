# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""What the watcher's benchmarks run on: a real API server, a real northbound database, the watcher as a process."""

from __future__ import annotations

import json
import resource
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "integration" / "watcher"))

from control_plane import ControlPlane, Objects, find_programs, slice_document  # noqa: F401
from northbound import Northbound, WatcherProcess

CLIENTS = 8
NODES = 16


@dataclass
class Stage:
    """Everything that runs."""

    plane: ControlPlane
    nb: Northbound
    watcher: WatcherProcess
    folder: Path

    def objects(self, namespace: str) -> Objects:
        """A new namespace."""
        objects = Objects(self.plane.api, namespace)
        objects.make_namespace()
        return objects

    def new_database(self) -> None:
        """An empty database with the switches of all nodes, each large enough for every pod of a benchmark."""
        self.nb.stop()
        shutil.rmtree(self.folder / "nb", ignore_errors=True)
        self.nb.create()
        self.nb.start()
        self.nb.add_cluster(**{f"node{number}": f"10.{100 + number}.0.0/20" for number in range(NODES)})

    def count(self, table: str) -> int:
        """How many rows a table has."""
        with self.nb.client() as client:
            reply = client.transact([{"op": "select", "table": table, "where": [], "columns": ["_uuid"]}])
            return len(reply[0]["rows"])


@contextmanager
def stage() -> Iterator[Stage]:
    """Build the stage and take it down."""
    programs = find_programs()
    if programs is None:
        raise SystemExit("no kube-apiserver and etcd: name their folder in OVN_K8S_KUBE_BIN")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended from outside"))  # and take down what was built
    folder = Path(tempfile.mkdtemp(prefix="ovn-k8s-bench-"))
    plane = ControlPlane(programs, folder / "control-plane")
    nb = Northbound(folder / "nb")
    try:
        plane.start()
        watcher = WatcherProcess(folder / "watcher", nb.remote, plane.kubeconfig("watcher"))
        scene = Stage(plane, nb, watcher, folder)
        scene.new_database()
        try:
            yield scene
        finally:
            watcher.stop()
    finally:
        nb.stop()
        plane.stop()
        shutil.rmtree(folder, ignore_errors=True)


def many(count: int, make: Callable[[int], object], clients: int = CLIENTS) -> None:
    """Call `make(number)` for all numbers from several threads."""
    with ThreadPoolExecutor(clients) as pool:
        for _ in pool.map(make, range(count)):
            pass


def wait_until(condition: Callable[[], bool], seconds: float, step: float = 0.02) -> float:
    """Wait for a condition and return the monotonic time at which it was seen."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise SystemExit("gave up waiting")
        time.sleep(step)
    return time.monotonic()


def report(name: str, value: float, unit: str) -> None:
    """Print one result as a JSON line."""
    sys.stdout.write(json.dumps({"name": name, "value": round(value, 3), "unit": unit}) + "\n")
    sys.stdout.flush()


def percentile(values: list[float], percent: float) -> float:
    """The value below which `percent` of the values are."""
    ordered = sorted(values)
    return ordered[min(int(len(ordered) * percent / 100), len(ordered) - 1)]


def memory_mib(pid: int) -> float:
    """Resident memory of a process."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * resource.getpagesize() / (1 << 20)


def cpu_seconds(pid: int) -> float:
    """Processor time that a process has used so far."""
    words = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(words[11]) + int(words[12])) / 100
