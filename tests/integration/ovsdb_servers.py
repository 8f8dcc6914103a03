# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""Real ovsdb-server processes in folders of their own, certificates for them, and their content read by other means."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

SCHEMAS = {
    "OVN_Northbound": Path("/usr/share/ovn/ovn-nb.ovsschema"),
    "OVN_Southbound": Path("/usr/share/ovn/ovn-sb.ovsschema"),
    "Open_vSwitch": Path("/usr/share/openvswitch/vswitch.ovsschema"),
}
SINGLETONS = {"OVN_Northbound": "NB_Global", "OVN_Southbound": "SB_Global", "Open_vSwitch": "Open_vSwitch"}


def missing() -> str | None:
    """Why no server can be started here, or None."""
    absent = [name for name in ("ovsdb-server", "ovsdb-tool", "ovsdb-client", "openssl") if not shutil.which(name)]
    absent += [str(path) for path in SCHEMAS.values() if not path.exists()]
    return f"not installed: {', '.join(absent)}" if absent else None


def free_port() -> int:
    """A TCP port on loopback that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@dataclass(frozen=True)
class KeyPair:
    """PEM files of a certificate, and of the authority that it came from."""

    private_key: Path
    certificate: Path
    ca_certificate: Path

    def options(self) -> dict[str, str]:
        """As the connection options of modules."""
        names = ("private_key", "certificate", "ca_certificate")
        return {name: str(getattr(self, name)) for name in names}


class Authority:
    """A certificate authority in a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.key, self.certificate = folder / "ca.key", folder / "ca.crt"
        new = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
        _openssl("req", "-x509", *new, "-keyout", self.key, "-out", self.certificate, "-subj", "/CN=test authority")

    def issue(self, name: str, usage: str = "serverAuth,clientAuth") -> KeyPair:
        """A certificate with this common name and extended key usage."""
        key, request, certificate = (self.folder / f"{name}.{kind}" for kind in ("key", "csr", "crt"))
        extensions = self.folder / f"{name}.ext"
        extensions.write_text(f"extendedKeyUsage={usage}\n")
        new = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
        _openssl("req", *new, "-keyout", key, "-out", request, "-subj", f"/CN={name}")
        ca = ["-CA", self.certificate, "-CAkey", self.key, "-CAcreateserial"]
        _openssl("x509", "-req", "-in", request, *ca, "-out", certificate, "-extfile", extensions)
        return KeyPair(key, certificate, self.certificate)


def _openssl(*arguments: object) -> None:
    subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True)


@cache
def _empty_database(schema: Path) -> bytes:
    """The file of a database that has nothing in it yet."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "db")
        subprocess.run(["ovsdb-tool", "create", file, schema], check=True)
        return file.read_bytes()


class Server:
    """An ovsdb-server with one database that holds its singleton row, listening on a unix socket and where it is told.

    `from_database` adds the listeners and TLS files that the database itself names, as `ovn-ctl` does.
    """

    def __init__(
        self,
        database: str,
        *,
        keys: KeyPair | None = None,
        listen: Sequence[str] = (),
        from_database: bool = False,
        schema: Path | None = None,
    ) -> None:
        self.database = database
        self.folder = Path(tempfile.mkdtemp(prefix="ovsdb-"))  # short: socket paths have at most 107 characters
        self.socket = self.folder / "db.sock"
        self.remote = f"unix:{self.socket}"
        self._file = self.folder / "db"
        self._keys = keys
        self._listen = list(listen)
        self._from_database = from_database
        self._columns: dict[str, list[str]] | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._file.write_bytes(_empty_database(schema or SCHEMAS[database]))

    def start(self) -> None:
        """Run it and wait until it answers."""
        command = ["ovsdb-server", str(self._file), f"--remote=punix:{self.socket}", "--no-chdir"]
        command += [f"--unixctl={self.folder}/ctl", "-vconsole:off", f"--log-file={self.folder}/log"]
        command += [f"--remote={remote}" for remote in self._listen]
        if self._keys:
            files = self._keys.options()
            command += [f"--private-key={files['private_key']}", f"--certificate={files['certificate']}"]
            command += [f"--ca-cert={files['ca_certificate']}"]
        elif self._from_database:
            command += [f"--private-key=db:{self.database},SSL,private_key"]
            command += [
                f"--certificate=db:{self.database},SSL,certificate",
                f"--ca-cert=db:{self.database},SSL,ca_cert",
            ]
        if self._from_database:
            command += [f"--remote=db:{self.database},{SINGLETONS[self.database]},connections"]
        self._process = subprocess.Popen(command)
        deadline = time.monotonic() + 10
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"ovsdb-server does not start: {(self.folder / 'log').read_text()}")
            time.sleep(0.01)

    def _answers(self) -> bool:
        with socket.socket(socket.AF_UNIX) as probe:
            return probe.connect_ex(str(self.socket)) == 0

    def stop(self) -> None:
        """End the process; the database file stays."""
        if self._process:
            self._process.kill()
            self._process.wait()
            self._process = None
        self.socket.unlink(missing_ok=True)

    @property
    def pid(self) -> int:
        assert self._process
        return self._process.pid

    def remove(self) -> None:
        """Stop and leave nothing behind."""
        self.stop()
        shutil.rmtree(self.folder)

    def initialise(self) -> None:
        """Make the singleton row, as the daemons do at their start."""
        self.transact({"op": "insert", "table": SINGLETONS[self.database], "row": {}})

    def transact(self, *operations: Mapping[str, Any]) -> list[Any]:
        """Run a transaction."""
        replies: list[Any] = self._ask("transact", self.database, *operations)
        errors = [reply for reply in replies if reply and reply.get("error")]
        assert not errors, errors
        return replies

    def dump(self, *, identities: bool = True) -> dict[str, list[dict[str, Any]]]:
        """Everything in the database, in one moment: {table: rows}, rows as {column: wire value}.

        Without `identities`, UUIDs of rows are left out, so that contents of two databases can be compared.
        """
        if self._columns is None:
            tables = self._ask("get_schema", self.database)["tables"]
            self._columns = {name: ["_uuid", *sorted(tables[name]["columns"])] for name in sorted(tables)}
        queries = [
            {"op": "select", "table": table, "where": [], "columns": columns}
            for table, columns in self._columns.items()
        ]
        found = {}
        for (table, columns), reply in zip(self._columns.items(), self.transact(*queries), strict=True):
            rows = [{column: row[column] for column in columns} for row in reply["rows"]]
            found[table] = rows if identities else [_without_uuids(row) for row in rows]
        return {name: sorted(rows, key=str) for name, rows in found.items()}

    def _ask(self, method: str, *params: Any) -> Any:
        """The answer to one request (RFC 7047), got without any of our own code: tests ask thousands of times."""
        with socket.socket(socket.AF_UNIX) as link:
            link.settimeout(60)
            link.connect(str(self.socket))
            link.sendall(json.dumps({"method": method, "params": params, "id": 0}).encode())
            text = b""
            while True:
                piece = link.recv(1 << 20)
                assert piece, f"{self.remote} has ended the connection after {text!r}"
                text += piece
                if text.endswith(b"}"):
                    with suppress(json.JSONDecodeError):
                        reply = json.loads(text)
                        break
        assert reply["id"] == 0, reply
        assert not reply["error"], reply
        return reply["result"]

    def rows(self, table: str) -> list[dict[str, Any]]:
        """The rows of a table: maps as dicts, sets as sorted lists, UUIDs as strings."""
        return [{name: plain(value) for name, value in row.items()} for row in self.dump()[table]]


def plain(wire: Any) -> Any:
    """A wire value without its notation."""
    if isinstance(wire, list) and len(wire) == 2:
        kind, value = wire
        if kind == "map":
            return {plain(key): plain(item) for key, item in value}
        if kind == "set":
            return sorted((plain(item) for item in value), key=str)
        if kind == "uuid":
            return value
    return wire


def _without_uuids(row: Mapping[str, Any]) -> dict[str, Any]:
    return {name: _blank(value) for name, value in row.items() if name != "_uuid"}


def _blank(value: Any) -> Any:
    if isinstance(value, list):
        if len(value) == 2 and value[0] == "uuid":
            return ["uuid", "-"]
        return [_blank(item) for item in value]
    return value
