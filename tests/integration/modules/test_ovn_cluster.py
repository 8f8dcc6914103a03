# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""The module ovn_cluster on real clusters of ovsdb-server."""

from __future__ import annotations

import json
import re
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from module_runner import ModuleFailed, run_module
from ovsdb_servers import SCHEMAS, free_port, missing
from test_examples import examples

NAME = "OVN_Northbound"


class Member:
    """A server of a cluster, or one that has no database yet."""

    def __init__(self, folder: Path, number: int, file: Path | None = None) -> None:
        self.address = f"tcp:127.0.0.1:{free_port()}"
        self.control = folder / f"{number}.ctl"
        self.file = folder / f"{number}.db"
        self._folder, self._number = folder, number
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, *files: Path) -> None:
        command = ["ovsdb-server", f"--remote=punix:{self._folder}/{self._number}.sock", "--no-chdir"]
        command += [f"--unixctl={self.control}", "-vconsole:off", f"--log-file={self._folder}/{self._number}.log"]
        empty = self._folder / f"{self._number}.other"
        if not files:
            subprocess.run(["ovsdb-tool", "create", empty, SCHEMAS["Open_vSwitch"]], check=True)
        self._process = subprocess.Popen([*command, *map(str, files or (empty,))])
        deadline = time.monotonic() + 10
        while not self.control.exists():
            assert time.monotonic() < deadline
            time.sleep(0.02)

    def create(self) -> None:
        """The first member."""
        command = ["ovsdb-tool", "create-cluster", self.file, SCHEMAS[NAME], self.address]
        subprocess.run(command, check=True, capture_output=True)
        self.start(self.file)

    def stop(self) -> None:
        if self._process:
            self._process.kill()
            self._process.wait()
            self._process = None

    def run(self, check: bool = False, **options: Any) -> dict[str, Any]:
        options = {"database": "northbound", "control_socket": str(self.control), "timeout": 10, **options}
        return run_module("ovn_cluster", check=check, **options)

    def join(self, *others: Member, **options: Any) -> dict[str, Any]:
        return self.run(
            join={
                "file": str(self.file),
                "local_address": self.address,
                "remote_addresses": [other.address for other in others],
            },
            **options,
        )


@pytest.fixture
def members() -> Iterator[list[Member]]:
    """Three servers; the first has a cluster of one."""
    if reason := missing():
        pytest.skip(reason)
    with tempfile.TemporaryDirectory(prefix="raft-") as folder:
        servers = [Member(Path(folder), number) for number in range(3)]
        servers[0].create()
        servers[0].run(wait_members=1)
        yield servers
        for server in servers:
            server.stop()


def test_joining_and_leaving(members: list[Member]) -> None:
    first, second, third = members
    second.start()
    foretold = second.join(first, check=True)
    assert (foretold["changed"], foretold["cluster"]) == (True, None)
    assert not second.file.exists()
    done = second.join(first)
    assert (done["steps"], done["diff"]) == (foretold["steps"], foretold["diff"])
    assert done["cluster"]["status"] == "cluster member"
    assert not second.join(first)["changed"]
    third.start()
    third.join(second, first)
    whole = first.run(wait_members=3)
    assert not whole["changed"]
    assert sorted(server["address"] for server in whole["cluster"]["servers"]) == sorted(m.address for m in members)
    assert [server["address"] for server in whole["cluster"]["servers"] if server["myself"]] == [first.address]
    assert (whole["cluster"]["role"], whole["cluster"]["leader"]) == ("leader", whole["cluster"]["server_id"][:4])
    assert third.run()["cluster"]["role"] == "follower"

    foretold = third.run(check=True, state="absent")
    assert third.run()["cluster"]["status"] == "cluster member"
    done = third.run(state="absent")
    assert (done["steps"], done["diff"]) == (foretold["steps"], foretold["diff"])
    assert not third.run(state="absent")["changed"]
    assert len(first.run()["cluster"]["servers"]) == 2
    with pytest.raises(ModuleFailed, match="the server does not have the database; give join"):
        third.run()


def test_the_file_is_what_ovsdb_tool_writes(members: list[Member], tmp_path: Path) -> None:
    from ansible_collections.ovn_k8s.cluster.plugins.module_utils.raft import joining_file  # noqa: PLC0415

    theirs = tmp_path / "joining.db"
    addresses = ["tcp:127.0.0.1:1", "tcp:[::1]:2", "ssl:192.0.2.1:3"]
    subprocess.run(["ovsdb-tool", "join-cluster", theirs, NAME, *addresses], check=True, capture_output=True)
    text = theirs.read_bytes()
    match = re.search(rb'"server_id":"([^"]*)"', text)
    assert match
    ours = joining_file(NAME, addresses[0], addresses[1:], match[1].decode())
    head, record = text.split(b"\n", 1)
    our_head, our_record = ours.split(b"\n", 1)
    assert json.loads(our_record) == json.loads(record)
    assert our_head.split()[:2] == head.split()[:2]
    (tmp_path / "ours.db").write_bytes(ours)
    subprocess.run(["ovsdb-tool", "db-name", tmp_path / "ours.db"], check=True, capture_output=True)


def test_the_election_timer(members: list[Member]) -> None:
    first, second, _ = members
    foretold = first.run(check=True, election_timer=5000)
    assert first.run()["cluster"]["election_timer"] == 1000
    done = first.run(election_timer=5000)
    assert done["cluster"]["election_timer"] == 5000
    assert (done["steps"], done["diff"]) == (foretold["steps"], foretold["diff"])
    assert done["diff"] == {"before": {"election_timer": 1000}, "after": {"election_timer": 5000}}
    assert not first.run(election_timer=5000)["changed"]
    assert first.run(election_timer=700)["cluster"]["election_timer"] == 700
    second.start()
    second.join(first)
    result = second.run(election_timer=1400)
    assert (result["changed"], result["cluster"]["role"]) == (False, "follower")


def test_a_member_that_is_lost(members: list[Member]) -> None:
    first, second, third = members
    for member in (second, third):
        member.start()
        member.join(first)
    third.stop()
    by_address, by_id = third.address, first.run(wait_members=3)["cluster"]["server_id"]
    foretold = first.run(check=True, absent_members=[by_address])
    assert len(first.run()["cluster"]["servers"]) == 3
    done = first.run(absent_members=[by_address, "tcp:192.0.2.9:1"])
    assert (done["steps"], done["diff"]) == (foretold["steps"], foretold["diff"])
    assert sorted(server["address"] for server in done["cluster"]["servers"]) == sorted([first.address, second.address])
    assert not first.run(absent_members=[by_address])["changed"]
    with pytest.raises(ModuleFailed, match="is this server itself, which leaves by state=absent"):
        first.run(absent_members=[by_id])


def test_a_member_that_was_set_up_anew_at_its_address(members: list[Member]) -> None:
    first, second, third = members
    for member in (second, third):
        member.start()
        member.join(first)
    lost = third.run(wait_members=3)["cluster"]["server_id"]
    third.stop()
    for file in third.file.parent.glob(f"{third.file.stem}.*"):
        file.unlink()
    third.start()
    third.join(first)
    assert len(first.run()["cluster"]["servers"]) == 4
    done = first.run(absent_members=[lost])
    assert done["changed"]
    assert sorted(server["address"] for server in done["cluster"]["servers"]) == sorted(m.address for m in members)
    assert lost[:4] not in {server["id"] for server in done["cluster"]["servers"]}


def test_bad_input(members: list[Member], nb_server: Any, tmp_path: Path) -> None:
    first, second, third = members

    def refused(message: str, member: Member = first, **options: Any) -> None:
        with pytest.raises(ModuleFailed, match=message):
            member.run(**options)

    refused("election_timer: 99 is outside 100 to 600000", election_timer=99)
    refused("a server that leaves takes no join", state="absent", wait_members=2)
    refused("no such socket; is ovsdb-server running", control_socket=str(tmp_path / "none.ctl"))
    refused("is it a clustered database", control_socket=str(nb_server.folder / "ctl"))
    refused(
        "a cluster of 2 members with a leader does not come about within 0.3 s: status 'cluster member', role 'leader'",
        wait_members=2,
        timeout=0.3,
    )
    second.start()
    refused("the server does not have the database; give join", second)
    with pytest.raises(ModuleFailed, match=r"'127.0.0.1:5' is no address; write ssl:host:port"):
        second.run(join={"file": "/x", "local_address": "127.0.0.1:5", "remote_addresses": ["tcp:a:1"]})
    with pytest.raises(ModuleFailed, match=r"membership does not come about within 0.5 s: status 'joining cluster'"):
        second.join(third, timeout=0.5)  # nobody listens there
    third.file.write_text("")
    third.start()
    with pytest.raises(ModuleFailed, match="is there, but the server does not serve it"):
        third.join(first)


def test_the_examples(members: list[Member]) -> None:
    first, second, third = members
    for member in (second, third):
        member.start()
        member.join(first)
    timer, lost, leaving = examples("ovn_cluster")
    options = {"control_socket": str(first.control)}
    assert run_module("ovn_cluster", **timer["ovn_k8s.cluster.ovn_cluster"], **options)["changed"]
    assert not run_module("ovn_cluster", **lost["ovn_k8s.cluster.ovn_cluster"], **options)["changed"]
    assert run_module("ovn_cluster", **leaving["ovn_k8s.cluster.ovn_cluster"], **options)["changed"]
