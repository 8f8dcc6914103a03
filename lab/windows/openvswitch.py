# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""Open vSwitch and OVN for Windows, which `C:\\openvswitch\\install.cmd` makes services: those of Linux do their work.

The database is a real `ovsdb-server`, and real programs act on it, of the version that the lab's other machines have,
in the machine's network namespace and with the userspace datapath. Clients on the machine reach it at 127.0.0.1:6640
through `Translator`, which puts what only Windows has into what Linux takes: `vEthernet (X)` has more characters than
an interface of Linux may have, and keys lie on drive C.
"""

from __future__ import annotations

import fcntl
import json
import logging
import os
import re
import socket
import socketserver
import struct
import subprocess
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from .drive import Drive, DriveError
from .programs import Refused, Work

LOG = logging.getLogger(__name__)

FOLDER = r"C:\openvswitch"
PROGRAMS = ("ovsdb-server", "ovs-vswitchd", "ovn-controller")
SCHEMA = "usr/share/openvswitch/vswitch.ovsschema"
START_SECONDS, STOP_SECONDS = 30.0, 10.0
LISTENS = re.compile(r"--remote=ptcp:(\d+):127\.0\.0\.1")

LONGEST_INTERFACE = 15
SIOCGIFHWADDR = 0x8927
_VIRTUAL, _SHORT = re.compile(r"vEthernet \((.+)\)"), re.compile(r"v\.(.+)")


def virtual_adapter(adapter: str) -> str:
    """What the virtual adapter `vEthernet (ADAPTER)` is called here."""
    return f"v.{adapter}"[:LONGEST_INTERFACE]


class Names:
    """What Windows calls things, and what Linux does."""

    def __init__(self, drive: Drive) -> None:
        self._drive = drive
        self._root = f"{drive.root}/"

    def of_linux(self, text: str) -> str:
        """A name or a path of Windows as it is here."""
        if match := _VIRTUAL.fullmatch(text):
            return virtual_adapter(match[1])
        if text[:3].upper() == "C:\\":
            with suppress(DriveError):
                return str(self._drive.place(text))
        return text

    def of_windows(self, text: str) -> str:
        """And back."""
        if match := _SHORT.fullmatch(text):
            return f"vEthernet ({match[1]})"
        if text.startswith(self._root):
            return "C:\\" + text.removeprefix(self._root).replace("/", "\\")
        return text


def rewritten(value: Any, change: Callable[[str], str]) -> Any:
    """A JSON value with all its texts changed."""
    if isinstance(value, str):
        return change(value)
    if isinstance(value, list):
        return [rewritten(one, change) for one in value]
    if isinstance(value, dict):
        return {key: rewritten(one, change) for key, one in value.items()}
    return value


def request_of_linux(message: Any, names: Names) -> Any:
    """A client's message as the database is to get it.

    A new bridge has the userspace datapath. A virtual adapter takes over the address of its adapter, as HNS does it.
    """
    message = rewritten(message, names.of_linux)
    if isinstance(message, dict) and message.get("method") == "transact":
        for operation in message.get("params") or []:
            if isinstance(operation, dict) and (operation.get("op"), operation.get("table")) == ("insert", "Bridge"):
                row = operation.setdefault("row", {})
                row.setdefault("datapath_type", "netdev")
                if match := _SHORT.fullmatch(str(row.get("name"))):
                    row.setdefault("other_config", ["map", [["hwaddr", hardware_address(match[1])]]])
    return message


def hardware_address(interface: str) -> str:
    """The MAC address of an interface; netdevice(7). Raises OSError."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        answer = fcntl.ioctl(any_socket, SIOCGIFHWADDR, struct.pack("256s", interface.encode()[:LONGEST_INTERFACE]))
    return answer[18:24].hex(":")


def messages(stream: socket.socket) -> Any:
    """The JSON documents that come on a connection, until its end."""
    decoder, text, rest = json.JSONDecoder(), "", b""
    while chunk := stream.recv(1 << 16):
        rest += chunk
        with suppress(UnicodeDecodeError):
            text, rest = text + rest.decode(), b""
        while text:
            try:
                document, end = decoder.raw_decode(text)
            except ValueError:
                break  # not all of it is here
            text = text[end:].lstrip()
            yield document


class Translator(socketserver.ThreadingTCPServer):
    """Listens on the machine's loopback in the place of its `ovsdb-server`."""

    allow_reuse_address = True
    daemon_threads = True

    def __init__(self, port: int, database: Path, names: Names) -> None:
        self.database, self.names = database, names
        super().__init__(("127.0.0.1", port), _Conversation)


class _Conversation(socketserver.BaseRequestHandler):
    server: Translator
    request: socket.socket

    def handle(self) -> None:
        names = self.server.names
        with socket.socket(socket.AF_UNIX) as database:
            database.connect(str(self.server.database))
            back = threading.Thread(
                target=_pass_on,
                args=(database, self.request, lambda message: rewritten(message, names.of_windows)),
                daemon=True,
            )
            back.start()
            _pass_on(self.request, database, lambda message: request_of_linux(message, names))
            back.join()


def _pass_on(source: socket.socket, target: socket.socket, change: Callable[[Any], Any]) -> None:
    with suppress(OSError):
        for message in messages(source):
            target.sendall(json.dumps(change(message)).encode())
    for end in (source, target):
        with suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)


class OpenVSwitch:
    """The three services of one machine. `restarted` is called when the switch starts, and makes its ports anew."""

    def __init__(self, drive: Drive, programs: Path, restarted: Callable[[], None] = lambda: None) -> None:
        self._drive = drive
        self._programs = programs
        self._restarted = restarted
        self._daemons: set[subprocess.Popen[bytes]] = set()

    @property
    def folder(self) -> Path:
        """Where the database and sockets are."""
        return self._drive.place(FOLDER)

    def serve_database(self, words: list[str]) -> Work:
        """The work of ovsdb-server.exe. Raises Refused."""
        port = next((int(match[1]) for word in words if (match := LISTENS.fullmatch(word))), 0)
        if not port:
            raise Refused("ovsdb-server is told to listen nowhere on the machine")
        self._have_programs()
        return _Database(self, port, Names(self._drive))

    def serve_switch(self, words: list[str]) -> Work:
        """The work of ovs-vswitchd.exe. Raises Refused."""
        self._have_programs()
        return _Daemon(self, "ovs-vswitchd", self._restarted)

    def serve_controller(self, words: list[str]) -> Work:
        """The work of ovn-controller.exe. Raises Refused."""
        self._have_programs()
        return _Daemon(self, "ovn-controller")

    def _have_programs(self) -> None:
        if not (self._programs / "bin").is_dir():
            raise Refused("there is no Open vSwitch whose work could stand for it")

    def file(self, name: str) -> Path:
        """A file of Open vSwitch's, or of OVN's, packages."""
        return self._programs / name

    def stop(self) -> None:
        """The machine goes down."""
        for daemon in list(self._daemons):
            self.end(daemon)

    def start(self, program: str, *arguments: str) -> subprocess.Popen[bytes]:
        """Start a program, in the folder."""
        folder = self.folder
        environment = {
            **os.environ,
            **dict.fromkeys(("OVS_RUNDIR", "OVS_LOGDIR", "OVS_DBDIR", "OVN_RUNDIR"), str(folder)),
        }
        with (folder / f"{program}.log").open("ab") as log:
            daemon = subprocess.Popen(
                [self.file("bin") / program, *arguments],
                cwd=folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        self._daemons.add(daemon)
        return daemon

    def end(self, daemon: subprocess.Popen[bytes]) -> None:
        """End a program."""
        self._daemons.discard(daemon)
        daemon.terminate()
        try:
            daemon.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            daemon.kill()
            daemon.wait(STOP_SECONDS)


class _Daemon:
    """A program that acts on the database."""

    def __init__(self, owner: OpenVSwitch, program: str, started: Callable[[], None] = lambda: None) -> None:
        self._owner, self._program, self._started = owner, program, started

    def run(self, stop: threading.Event) -> None:
        """Until it is told to stop, or the program ends, which is a crash."""
        if not _until((self._owner.folder / "db.sock").is_socket, stop):
            return
        daemon = self._owner.start(self._program, f"unix:{self._owner.folder / 'db.sock'}")
        try:
            self._started()
            while not stop.wait(0.5):
                if daemon.poll() is not None:
                    raise RuntimeError(f"{self._program} has ended with status {daemon.returncode}")
        finally:
            self._owner.end(daemon)


class _Database:
    """`ovsdb-server`, and what Windows' programs see of it."""

    def __init__(self, owner: OpenVSwitch, port: int, names: Names) -> None:
        self._owner, self._port, self._names = owner, port, names

    def run(self, stop: threading.Event) -> None:
        """Until it is told to stop."""
        folder = self._owner.folder
        database, listens = folder / "conf.db", folder / "db.sock"
        if not database.exists():
            subprocess.run(
                [self._owner.file("bin/ovsdb-tool"), "create", database, self._owner.file(SCHEMA)], check=True
            )
        listens.unlink(missing_ok=True)
        daemon = self._owner.start("ovsdb-server", str(database), f"--remote=punix:{listens}")
        try:
            if not _until(listens.is_socket, stop):
                return
            command = [
                str(self._owner.file("bin/ovs-vsctl")),
                "--no-wait",
                f"--db=unix:{listens}",
                "--timeout=10",
                "init",
                "--",
                "set",
            ]
            command += ["Open_vSwitch", ".", "external_ids:ovn-bridge-datapath-type=netdev"]
            subprocess.run(command, check=True)
            with Translator(self._port, listens, self._names) as translator:
                threading.Thread(target=translator.serve_forever, args=(0.2,), daemon=True).start()
                while not stop.wait(0.5):
                    if daemon.poll() is not None:
                        raise RuntimeError(f"ovsdb-server has ended with status {daemon.returncode}")
                translator.shutdown()
        finally:
            self._owner.end(daemon)


def _until(condition: Callable[[], bool], stop: threading.Event) -> bool:
    """Wait for it; False when it is time to stop. Raises TimeoutError."""
    deadline = time.monotonic() + START_SECONDS
    while not condition():
        if stop.wait(0.1):
            return False
        if time.monotonic() > deadline:
            raise TimeoutError(f"the database is not there after {START_SECONDS:g} s")
    return True
