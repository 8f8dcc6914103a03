# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""A clustered database: what its server says of the cluster, and the file with which a server joins (ovsdb(5), (7))."""

from __future__ import annotations

import hashlib
import json
import re
import uuid
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

MEMBER, LEFT = "cluster member", "left cluster"
_SERVER = re.compile(r"^\s+(?P<id>[0-9a-f]+) \([0-9a-f]+ at (?P<address>\S+?)\)(?P<rest>.*)$")
_LONG_ID = re.compile(r"\(([0-9a-f-]{36})\)")


@dataclass(frozen=True)
class Server:
    """A member as another sees it: the first digits of its id, its address, and whether it is the one that says so."""

    id: str
    address: str
    myself: bool


@dataclass(frozen=True)
class Cluster:
    """What `cluster/status` says. `role` is leader, follower or candidate; `leader` is the first digits of an id.

    `election_timer` is in milliseconds; `joining` are the addresses that a server asks which is not a member yet.
    """

    name: str
    cluster_id: str
    server_id: str
    address: str
    status: str
    role: str
    term: int
    leader: str
    election_timer: int
    uncommitted: int
    servers: tuple[Server, ...]
    joining: tuple[str, ...] = ()

    def described(self) -> dict[str, Any]:
        """For results of modules."""
        return {**asdict(self), "servers": [asdict(server) for server in self.servers], "joining": list(self.joining)}

    def find(self, text: str) -> Server | None:
        """The member with this address or id, of which some first digits (at least four) are enough."""
        for server in self.servers:
            if text == server.address or (len(text) >= len(server.id) and text.startswith(server.id)):
                return server
        return None


def parse_status(text: str) -> Cluster:
    """Read the answer to `cluster/status`."""
    values: dict[str, str] = {}
    servers = []
    for line in text.splitlines():
        server = _SERVER.match(line)
        if server:
            servers.append(Server(server["id"], server["address"], "(self)" in server["rest"]))
            continue
        key, colon, value = line.partition(":")
        if colon and not line.startswith(" "):
            values.setdefault(key.strip(), value.strip())
    own = _identity(values.get("Server ID", ""))
    leader = values.get("Leader", "unknown")
    return Cluster(
        name=values.get("Name", ""),
        cluster_id=_identity(values.get("Cluster ID", "")),
        server_id=own,
        address=values.get("Address", ""),
        status=values.get("Status", ""),
        role=values.get("Role", ""),
        term=_number(values.get("Term", "")),
        leader=own[:4] if leader == "self" else "" if leader == "unknown" else leader,
        election_timer=_number(values.get("Election timer", "")),
        uncommitted=_number(values.get("Entries not yet committed", "")),
        servers=tuple(sorted(servers, key=lambda server: server.address)),
        joining=tuple(values.get("Remotes for joining", "").split()),
    )


def _identity(text: str) -> str:
    match = _LONG_ID.search(text)
    return match[1] if match else ""


def _number(text: str) -> int:
    return int(text) if text.isdigit() else 0


def joining_file(name: str, local: str, remotes: Sequence[str], server_id: str = "") -> bytes:
    """The content of a database file whose server asks `remotes` to let it into their cluster, at the address `local`.

    It is the first record of a log: `ovsdb-tool join-cluster` writes the same.
    """
    header = {
        "local_address": local,
        "name": name,
        "remote_addresses": list(remotes),
        "server_id": server_id or str(uuid.uuid4()),
    }
    record = json.dumps(header, separators=(",", ":")).encode() + b"\n"
    return b"OVSDB CLUSTER %d %s\n" % (len(record), hashlib.sha1(record).hexdigest().encode()) + record
