# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""A real northbound database with the switches of a few nodes, and the watcher as a process of its own beside it."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path

from ovn_k8s.core.database import Database, StoredRow
from ovn_k8s.core.plan import plan
from ovn_k8s.core.topology import Node, cluster_topology, node_topology
from ovn_k8s.ovsdb.client import Client
from ovn_k8s.ovsdb.errors import ConnectionFailed
from ovn_k8s.ovsdb.remote import parse_remotes

SCHEMA = Path("/usr/share/ovn/ovn-nb.ovsschema")
TABLES = ("Logical_Switch", "Logical_Switch_Port", "Load_Balancer", "Load_Balancer_Group", "NB_Global")


class Northbound:
    """An ovsdb-server with the northbound schema on a unix socket."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._file = folder / "nb.db"
        self._socket = folder / "nb.sock"
        self._process: subprocess.Popen[bytes] | None = None
        self.remote = f"unix:{self._socket}"

    def create(self) -> None:
        """Make an empty database."""
        self.folder.mkdir(parents=True, exist_ok=True)
        subprocess.run(["ovsdb-tool", "create", str(self._file), str(SCHEMA)], check=True)

    def start(self) -> None:
        """Start the server."""
        self._socket.unlink(missing_ok=True)
        with (self.folder / "nb.log").open("ab") as output:
            self._process = subprocess.Popen(
                [
                    "ovsdb-server",
                    f"--remote=p{self.remote}",
                    f"--unixctl={self.folder / 'nb.ctl'}",
                    str(self._file),
                ],
                stdout=output,
                stderr=output,
            )
        deadline = time.monotonic() + 10
        while True:
            try:
                self._initialise()
                return
            except ConnectionFailed:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.02)

    def _initialise(self) -> None:
        """The one row that northd makes in a new database."""
        with self.client() as client:
            rows = client.transact([{"op": "select", "table": "NB_Global", "where": [], "columns": ["_uuid"]}])
            if not rows[0]["rows"]:
                client.transact([{"op": "insert", "table": "NB_Global", "row": {}}])

    def stop(self) -> None:
        """Stop the server; the database stays."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def client(self) -> Client:
        """A new connection."""
        return Client(parse_remotes(self.remote), "OVN_Northbound")

    def snapshot(self) -> Database:
        """The database as it is."""
        with self.client() as client:
            return client.snapshot(TABLES)

    def add_cluster(self, **nodes: str) -> None:
        """Rows of the cluster and of nodes with these subnets, as the master's set-up makes them."""
        with self.client() as client:
            rows = list(cluster_topology("master", IPv4Network("100.64.0.0/16")))
            for number, (name, subnet) in enumerate(nodes.items(), 11):
                rows += node_topology("master", Node(name, IPv4Address(f"172.30.0.{number}"), IPv4Network(subnet)))
            client.commit(plan(rows, client.snapshot()))

    def ports(self) -> dict[str, StoredRow]:
        """Pod ports by name, of all switches."""
        rows = self.snapshot().rows("Logical_Switch_Port")
        return {row.columns["name"]: row for row in rows if row.columns["external_ids"].get("pod") == "true"}

    def addresses(self) -> dict[str, str]:
        """IP address of each pod port."""
        return {name: next(iter(row.columns["addresses"])).split()[1] for name, row in self.ports().items()}

    def balancers(self) -> dict[str, StoredRow]:
        """Load balancers by name."""
        return {row.columns["name"]: row for row in self.snapshot().rows("Load_Balancer")}


class WatcherProcess:
    """The program, started as systemd would."""

    def __init__(self, folder: Path, remote: str, kubeconfig: Path, southbound: str = "") -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.config = folder / "watcher.toml"
        self.log = folder / "watcher.log"
        self.config.write_text(
            'cluster_cidr = "10.244.0.0/16"\nservice_cidr = "10.96.0.0/16"\nmtu = 1400\n'
            f'[northbound]\nremote = "{remote}"\n[kubernetes]\nkubeconfig = "{kubeconfig}"\n'
            '[http]\naddress = "127.0.0.1"\nport = 0\n'
            + (f'[southbound]\nremote = "{southbound}"\n' if southbound else "")
        )
        self._process: subprocess.Popen[bytes] | None = None
        self.port = 0
        self.prelude = ""
        """Python that runs before the program, to shorten a time of its."""
        self.environment: dict[str, str] = {}

    @property
    def pid(self) -> int:
        """Process id of the running watcher."""
        assert self._process is not None
        return self._process.pid

    def start(self, *, ready: bool = True) -> None:
        """Start it; `ready`: and wait until it says that it is."""
        begin = self.log.stat().st_size if self.log.exists() else 0
        program = ["-m", "ovn_k8s.watcher"]
        if self.prelude:
            program = ["-c", f"{self.prelude}\nfrom ovn_k8s.watcher.__main__ import main\nmain()"]
        with self.log.open("ab") as output:
            self._process = subprocess.Popen(
                [sys.executable, *program, "--config", str(self.config)],
                stdout=subprocess.DEVNULL,
                stderr=output,
                env={**os.environ, "PYTHONUNBUFFERED": "1", **self.environment},
            )
        self._await(lambda: self._find_port(begin), "its status port")
        if ready:
            self.wait_ready()

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run it with other arguments until it ends."""
        return subprocess.run(
            [sys.executable, "-m", "ovn_k8s.watcher", "--config", str(self.config), *arguments],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def wait_ready(self, seconds: float = 60.0) -> None:
        """Wait for /readyz."""
        self._await(lambda: self.get("/readyz")[0] == 200, "readiness", seconds)

    def get(self, path: str) -> tuple[int, str]:
        """Status and text of a page of its own."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=5) as reply:
                return reply.status, reply.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()
        except OSError as error:
            return 0, str(error)

    def metric(self, name: str) -> float:
        """The value of a metric; `name` with labels as on the page."""
        for line in self.get("/metrics")[1].splitlines():
            if line.startswith(f"{name} "):
                return float(line.rsplit(" ", 1)[1])
        return 0.0

    def freeze(self) -> None:
        """Stop it as a machine that hangs; `thaw` lets it go on."""
        os.kill(self.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        os.kill(self.pid, signal.SIGCONT)

    def kill(self) -> None:
        """End it at once, with SIGKILL."""
        self._end(signal.SIGKILL)

    def stop(self) -> int:
        """End it with SIGTERM and return its exit status."""
        return self._end(signal.SIGTERM)

    def _end(self, number: int) -> int:
        if self._process is None:
            return 0
        with contextlib.suppress(ProcessLookupError):
            self._process.send_signal(number)
        status = self._process.wait(20)
        self._process = None
        return status

    def _find_port(self, begin: int) -> bool:
        for line in self.log.read_bytes()[begin:].decode().splitlines():
            if "status on port" in line:
                self.port = int(line.rsplit(" ", 1)[1])
                return True
        return False

    def _await(self, condition: Callable[[], bool], what: str, seconds: float = 60.0) -> None:
        deadline = time.monotonic() + seconds
        while not condition():
            if self._process is None or self._process.poll() is not None or time.monotonic() > deadline:
                text = self.log.read_text()[-3000:]
                raise AssertionError(f"the watcher did not reach {what}: {self.get('/readyz')}\n{text}")
            time.sleep(0.02)
