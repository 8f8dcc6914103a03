# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""A northbound database of three servers, each in a network namespace of its own, that can be killed or cut off.

The members talk to each other over a bridge; clients reach each through a unix socket or, over TCP, through a forwarder
that can swallow everything, as a machine does that is gone.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

from ovsdb_servers import SCHEMAS

NORTHBOUND = "OVN_Northbound"
RAFT_PORT = 6643


def missing() -> str | None:
    """Why no cluster can be started here, or None."""
    if os.geteuid() != 0:
        return "needs root for network namespaces"
    absent = [name for name in ("ovsdb-server", "ovsdb-tool", "ovs-appctl", "ip", "nft") if not shutil.which(name)]
    absent += [] if SCHEMAS[NORTHBOUND].exists() else [str(SCHEMAS[NORTHBOUND])]
    return f"not installed: {', '.join(absent)}" if absent else None


def run(*command: object) -> str:
    return subprocess.run(list(map(str, command)), check=True, capture_output=True, text=True).stdout


def eventually(condition: Callable[[], object], what: str, seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.05)


class Door:
    """A TCP port of loopback that leads to a member's unix socket. Shut, it accepts and says nothing."""

    def __init__(self, target: Path) -> None:
        self._target = target
        self._open = threading.Event()
        self._open.set()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._sockets: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def shut(self) -> None:
        """Swallow everything from now on, also of connections that are there."""
        self._open.clear()

    def open(self) -> None:
        self._open.set()

    def close(self) -> None:
        self._open.set()
        for each in (self._listener, *self._sockets):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            server = socket.socket(socket.AF_UNIX)
            self._sockets += [client, server]
            try:
                server.connect(str(self._target))
            except OSError:
                client.close()
                continue
            for pair in ((client, server), (server, client)):
                threading.Thread(target=self._carry, args=pair, daemon=True).start()

    def _carry(self, source: socket.socket, target: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(1 << 16):
                self._open.wait()
                target.sendall(data)
        for each in (source, target):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)


class Member:
    """One server."""

    def __init__(self, cluster: Cluster, number: int) -> None:
        self.number = number
        self.address = f"10.99.0.{number}"
        self.netns = f"{cluster.prefix}-{number}"
        self.folder = cluster.folder / str(number)
        self.folder.mkdir()
        self.socket = self.folder / "db.sock"
        self.control = self.folder / "ctl"
        self.file = self.folder / "db"
        self.door = Door(self.socket)
        self._process: subprocess.Popen[bytes] | None = None
        run("ip", "netns", "add", self.netns)
        run("ip", "-n", self.netns, "link", "set", "lo", "up")
        run("ip", "link", "add", "eth0", "netns", self.netns, "type", "veth", "peer", "name", f"m{number}",
            "netns", cluster.bridge)  # fmt: skip
        run("ip", "-n", cluster.bridge, "link", "set", f"m{number}", "master", "underlay", "up")
        run("ip", "-n", self.netns, "address", "add", f"{self.address}/24", "dev", "eth0")
        run("ip", "-n", self.netns, "link", "set", "eth0", "up")

    @property
    def remote(self) -> str:
        return f"tcp:127.0.0.1:{self.door.port}"

    def create(self, first: Member | None) -> None:
        own = f"tcp:{self.address}:{RAFT_PORT}"
        if first is None:
            run("ovsdb-tool", "create-cluster", self.file, SCHEMAS[NORTHBOUND], own)
        else:
            run("ovsdb-tool", "join-cluster", self.file, NORTHBOUND, own, f"tcp:{first.address}:{RAFT_PORT}")

    def start(self) -> None:
        self.socket.unlink(missing_ok=True)
        command = ["ovsdb-server", str(self.file), f"--remote=punix:{self.socket}", f"--unixctl={self.control}"]
        command += ["--no-chdir", "-vconsole:off", f"--log-file={self.folder}/log"]
        self._process = subprocess.Popen(["nsenter", f"--net=/run/netns/{self.netns}", *command])
        eventually(self.socket.exists, "the server listens")

    def kill(self) -> None:
        if self._process:
            self._process.kill()
            self._process.wait()
            self._process = None

    def freeze(self) -> None:
        assert self._process
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        assert self._process
        self._process.send_signal(signal.SIGCONT)

    def cut_off(self) -> None:
        """From the other members; clients still reach it."""
        rules = "add table inet cut; add chain inet cut in { type filter hook input priority 0; policy drop; }"
        run("ip", "netns", "exec", self.netns, "nft", rules)

    def reconnect(self) -> None:
        run("ip", "netns", "exec", self.netns, "nft", "delete table inet cut")

    def status(self) -> str:
        """What it says of the cluster; nothing when it is down, or not up yet."""
        with contextlib.suppress(subprocess.CalledProcessError):
            return run("ovs-appctl", "-t", self.control, "cluster/status", NORTHBOUND)
        return ""

    @property
    def leads(self) -> bool:
        return self._process is not None and "Role: leader" in self.status()

    def remove(self) -> None:
        self.kill()
        self.door.close()
        run("ip", "netns", "delete", self.netns)


class Cluster:
    """Three members, running."""

    _numbers = itertools.count()

    def __init__(self, size: int = 3) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="raft-"))
        self.prefix = f"raft{os.getpid()}x{next(self._numbers)}"
        self.bridge = f"{self.prefix}-br"
        run("ip", "netns", "add", self.bridge)
        run("ip", "-n", self.bridge, "link", "add", "underlay", "type", "bridge")
        run("ip", "-n", self.bridge, "link", "set", "underlay", "up")
        self.members: list[Member] = []
        for _ in range(size):
            self.add()

    @property
    def remotes(self) -> str:
        return ",".join(member.remote for member in self.members)

    def add(self) -> Member:
        """One more member, that has joined."""
        member = Member(self, len(self.members) + 1)
        member.create(self.members[0] if self.members else None)
        self.members.append(member)
        member.start()
        eventually(lambda: "Status: cluster member" in member.status(), "it is a member")
        return member

    def leader(self) -> Member:
        """The leader, once all who live agree on it."""
        found: list[Member] = []

        def one() -> bool:
            found[:] = [member for member in self.members if member.leads]
            return len(found) == 1

        eventually(one, "there is one leader")
        return found[0]

    def remove(self) -> None:
        for member in self.members:
            member.remove()
        run("ip", "netns", "delete", self.bridge)
        shutil.rmtree(self.folder)
