# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""Plans and transactions on real servers: what is written, what is refused, and what a lost race does."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from ovsdb_servers import Authority, KeyPair, Server, free_port

from ovn_k8s.core.plan import Plan, plan
from ovn_k8s.core.rows import MapPatch, Parent, Ref, Row, SetPatch
from ovn_k8s.ovsdb.client import Client
from ovn_k8s.ovsdb.errors import ConnectionFailed, NotLeader, Stale, Timeout, TlsFailed, TransactionFailed
from ovn_k8s.ovsdb.remote import Tls, parse_remotes

NB = "OVN_Northbound"
TABLES = ["Logical_Switch", "Logical_Switch_Port", "Load_Balancer", "Load_Balancer_Group", "ACL"]


def connect(remote: str, keys: KeyPair | None = None, *, timeout: float = 5.0) -> Client:
    return Client(parse_remotes(remote), NB, tls=Tls(**keys.options()) if keys else None, timeout=timeout)


@pytest.fixture
def client(nb_server: Server) -> Iterator[Client]:
    with connect(nb_server.remote) as client:
        yield client


def make(client: Client, *rows: Row, **options: Any) -> Plan:
    return client.converge(TABLES, lambda actual: plan(rows, actual, **options))


def switch(name: str = "web", **columns: Any) -> Row:
    return Row("Logical_Switch", name, columns)


def port(name: str, parent: str = "web", **columns: Any) -> Row:
    return Row("Logical_Switch_Port", name, columns, parent=Parent("Logical_Switch", parent, "ports"))


def names(server: Server, table: str = "Logical_Switch") -> list[str]:
    return sorted(row["name"] for row in server.rows(table))


def column(server: Server, name: str, of: str = "web", table: str = "Logical_Switch") -> Any:
    return next(row[name] for row in server.rows(table) if row["name"] == of)


# ---- what is written


def test_a_network_in_one_transaction(nb_server: Server, client: Client) -> None:
    rows = [
        port("p1", addresses=["unknown"], options={"a": "b=c \"q\" 'é'"}),
        switch(load_balancer_group=[Ref("Load_Balancer_Group", "g")], other_config={"subnet": "192.0.2.0/24"}),
        Row("Load_Balancer_Group", "g", {"load_balancer": [Ref("Load_Balancer", "lb")]}),
        Row("Load_Balancer", "lb", {"vips": {"192.0.2.1:80": "192.0.2.2:80"}}, "shop"),
        Row(
            "ACL",
            "acl1",
            {"priority": 5, "direction": "to-lport", "match": "1", "action": "allow"},
            parent=Parent("Logical_Switch", "web", "acls"),
        ),
    ]
    assert make(client, *rows)
    assert column(nb_server, "options", "p1", "Logical_Switch_Port") == {"a": "b=c \"q\" 'é'"}
    assert column(nb_server, "external_ids", "lb", "Load_Balancer") == {"ovn-k8s-owner": "shop"}
    assert column(nb_server, "priority", "acl1", "ACL") == 5
    content = nb_server.dump()
    assert not make(client, *rows)
    assert nb_server.dump() == content


def test_every_kind_of_change(nb_server: Server, client: Client) -> None:
    make(client, switch("other"), switch(other_config={"a": "1", "b": "2"}), port("p1", tag=5, enabled=True))
    make(client, port("p1", "other", tag=None, enabled=False, addresses=["unknown"]), switch(other_config={"b": "3"}))
    assert column(nb_server, "other_config") == {"b": "3"}
    row = nb_server.rows("Logical_Switch_Port")[0]
    assert (row["tag"], row["enabled"], row["addresses"]) == ([], False, "unknown")
    assert column(nb_server, "ports") == []
    assert column(nb_server, "ports", "other") == row["_uuid"]
    make(client, switch(other_config=MapPatch({"c": "4"}, frozenset({"b"}))))
    assert column(nb_server, "other_config") == {"c": "4"}
    make(client, port("p1", "other", addresses=SetPatch(frozenset({"dynamic"}), frozenset({"unknown"}))))
    assert nb_server.rows("Logical_Switch_Port")[0]["addresses"] == "dynamic"
    make(client, absent=[("Logical_Switch_Port", "p1"), ("Logical_Switch", "web")])
    assert (names(nb_server), names(nb_server, "Logical_Switch_Port")) == (["other"], [])


def test_a_snapshot_of_some_columns(client: Client) -> None:
    make(client, switch(other_config={"a": "1"}), port("p1"))
    some = client.snapshot({"Logical_Switch": ["name"], "Logical_Switch_Port": None, "Nonsense": None})
    assert dict(some.find("Logical_Switch", "web").columns) == {"name": "web"}
    assert "addresses" in some.find("Logical_Switch_Port", "p1").columns
    assert client.snapshot().count("Logical_Switch") == 1


def test_long_messages(nb_server: Server, client: Client) -> None:
    text = "x" * 1000
    rows = [switch(), *(port(f"p{number}", external_ids={"text": text}) for number in range(2000))]
    assert make(client, *rows)
    assert len(nb_server.rows("Logical_Switch_Port")) == 2000
    assert not make(client, *rows)
    with connect(nb_server.remote) as other:
        make(other, absent=[("Logical_Switch", "web")])
    assert names(nb_server, "Logical_Switch_Port") == []


# ---- what is refused


def test_a_refused_transaction_leaves_nothing_behind(nb_server: Server, client: Client) -> None:
    good = {"op": "insert", "table": "Logical_Switch", "row": {"name": "good"}}
    bad = {"op": "insert", "table": "Logical_Switch_Port", "row": {"name": "bad", "tag": 5000}}
    with pytest.raises(TransactionFailed, match=r"constraint violation \(insert on Logical_Switch_Port\): .*5000"):
        client.transact([good, bad])
    assert names(nb_server) == []
    assert client.transact([good])


def test_no_such_database(sb_server: Server) -> None:
    with pytest.raises(ConnectionFailed, match=r"the server has no database OVN_Northbound \(it has .*OVN_Southbound"):
        connect(sb_server.remote)


def test_a_server_that_is_gone(nb_server: Server, client: Client) -> None:
    nb_server.stop()
    with pytest.raises(ConnectionFailed):
        make(client, switch())
    with pytest.raises(ConnectionFailed, match="there is no such socket"):
        connect(nb_server.remote)


def test_a_server_that_is_silent(nb_server: Server) -> None:
    with connect(nb_server.remote, timeout=0.3) as client:
        os.kill(nb_server.pid, signal.SIGSTOP)
        try:
            started = time.monotonic()
            with pytest.raises(Timeout, match=r"no answer to 'transact' within 0.3 s"):
                make(client, switch())
            assert time.monotonic() - started < 2
        finally:
            os.kill(nb_server.pid, signal.SIGCONT)


def test_a_server_that_dies_during_a_transaction(nb_server: Server, client: Client) -> None:
    os.kill(nb_server.pid, signal.SIGSTOP)  # it takes the request and never answers
    killer = threading.Timer(0.2, nb_server.stop)
    killer.start()
    with pytest.raises(ConnectionFailed):
        client.transact([{"op": "insert", "table": "Logical_Switch", "row": {"name": "web"}}])
    killer.join()
    nb_server.start()
    with connect(nb_server.remote) as again:  # the same wish, whatever became of the first attempt
        make(again, switch())
    assert names(nb_server) == ["web"]


def test_a_port_where_something_else_listens() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port_number = listener.getsockname()[1]
        with pytest.raises(ConnectionFailed, match=r"no answer to 'list_dbs' within 0.2 s"):
            connect(f"tcp:127.0.0.1:{port_number}", timeout=0.2)
    with pytest.raises(ConnectionFailed, match="Connection refused"):
        connect(f"tcp:127.0.0.1:{port_number}")


def test_the_first_remote_that_answers(nb_server: Server) -> None:
    with connect(f"tcp:127.0.0.1:{free_port()},unix:/nonexistent,{nb_server.remote}") as client:
        assert str(client.remote) == nb_server.remote
    with pytest.raises(ConnectionFailed, match=r"Connection refused.*; unix:/nonexistent: there is no such socket"):
        connect(f"tcp:127.0.0.1:{free_port()},unix:/nonexistent")


# ---- TLS


def test_tls(tls_server: tuple[Server, str], authority: Authority) -> None:
    server, remote = tls_server
    with connect(remote, authority.issue("client")) as client:
        make(client, switch())
    assert names(server) == ["web"]


def test_a_server_of_another_authority(tls_server: tuple[Server, str], tmp_path: Path) -> None:
    stranger = Authority(tmp_path).issue("client")
    with pytest.raises(TlsFailed, match=r"the server's certificate is not trusted .*; is .*ca.crt the authority that"):
        connect(tls_server[1], stranger)


def test_a_client_that_the_server_does_not_trust(
    tls_server: tuple[Server, str], authority: Authority, tmp_path: Path
) -> None:
    stranger = Authority(tmp_path).issue("client")
    keys = KeyPair(stranger.private_key, stranger.certificate, authority.certificate)
    with pytest.raises(ConnectionFailed):
        connect(tls_server[1], keys)


def test_a_client_certificate_cannot_play_the_server(new_server: Callable[..., Server], authority: Authority) -> None:
    number = free_port()
    new_server(NB, keys=authority.issue("impostor", "clientAuth"), listen=[f"pssl:{number}:127.0.0.1"])
    with pytest.raises(TlsFailed, match="certificate is not trusted"):
        connect(f"ssl:127.0.0.1:{number}", authority.issue("client"))


def test_a_port_without_tls(new_server: Callable[..., Server], authority: Authority) -> None:
    number = free_port()
    new_server(NB, listen=[f"ptcp:{number}:127.0.0.1"])
    with pytest.raises(TlsFailed, match="does this port speak TLS"):
        connect(f"ssl:127.0.0.1:{number}", authority.issue("client"), timeout=2)
    with connect(f"tcp:127.0.0.1:{number}"):
        pass


def test_tls_without_files(tls_server: tuple[Server, str]) -> None:
    with pytest.raises(TlsFailed, match="needs a private key, a certificate and a CA certificate"):
        connect(tls_server[1])


# ---- races


def test_each_guard_notices_what_changed(nb_server: Server, client: Client) -> None:
    make(client, switch(), switch("other"), port("p1", tag=1), Row("Load_Balancer", "lb"))
    before = client.snapshot(TABLES)
    tag = plan([port("p1", tag=2)], before)
    same_name = plan([switch("new")], before)
    same_unique_name = plan([port("p2")], before)
    lost_parent = plan([port("p3", "other")], before)
    lost_reference = plan([switch("third", load_balancer=[Ref("Load_Balancer", "lb")])], before)
    nothing_left = plan([], before, absent=[("Logical_Switch", "other")])
    whole_map = plan([switch(other_config={"a": "1"})], before)
    make(client, port("p1", tag=9), switch("new"), port("p2"), switch(other_config={"b": "1"}))
    make(client, absent=[("Logical_Switch", "other"), ("Load_Balancer", "lb")])
    content = nb_server.dump()
    for stale in (tag, same_name, same_unique_name, lost_parent, lost_reference, nothing_left, whole_map):
        with pytest.raises(Stale):
            client.commit(stale)
    assert nb_server.dump() == content


def test_a_plan_is_made_anew_when_somebody_was_faster(nb_server: Server, client: Client) -> None:
    make(client, switch(other_config={"a": "1"}))
    rounds = []

    def racing(actual: Any) -> Plan:
        rounds.append(1)
        if len(rounds) < 3:
            with connect(nb_server.remote) as other:
                make(other, switch(other_config={"a": f"other {len(rounds)}"}))
        return plan([switch(other_config=MapPatch({"mine": "2"}))], actual)

    client.converge(TABLES, racing)
    assert len(rounds) == 3
    assert column(nb_server, "other_config") == {"a": "other 2", "mine": "2"}


def test_check_mode_reads_only(nb_server: Server, client: Client) -> None:
    content = nb_server.dump()
    made = client.converge(TABLES, lambda actual: plan([switch()], actual), check=True)
    assert made
    assert nb_server.dump() == content


def test_the_last_writer_of_a_key_gets_its_value(nb_server: Server, client: Client) -> None:
    make(client, switch(other_config={"k": "0"}))
    before = client.snapshot(TABLES)
    late = plan([switch(other_config=MapPatch({"k": "late", "new": "late"}))], before)
    make(client, switch(other_config={"k": "early", "new": "early", "theirs": "1"}))
    client.transact(late.operations())
    assert column(nb_server, "other_config") == {"k": "late", "new": "late", "theirs": "1"}


def test_two_writers_lose_nothing_and_double_nothing(nb_server: Server) -> None:
    rounds, failures = 100, []
    with connect(nb_server.remote) as first:
        make(first, switch(other_config={"total": "0"}))

    def write(writer: str) -> None:
        try:
            with connect(nb_server.remote) as client:
                for number in range(rounds):

                    def counted(actual: Any, number: int = number) -> Plan:
                        total = int(actual.find("Logical_Switch", "web").columns["other_config"]["total"])
                        patch = MapPatch({"total": str(total + 1), f"{writer}{number}": "x"})
                        return plan([switch(other_config=patch), switch("shared"), port(f"p{number}")], actual)

                    client.converge(TABLES, counted)
        except Exception as error:
            failures.append(error)

    writers = [threading.Thread(target=write, args=(name,)) for name in "ab"]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert failures == []
    assert names(nb_server) == ["shared", "web"]
    assert len(names(nb_server, "Logical_Switch_Port")) == rounds
    config = column(nb_server, "other_config")
    assert config.pop("total") == str(2 * rounds)
    assert len(config) == 2 * rounds


# ---- a cluster


def test_writes_need_the_leader(tmp_path: Path) -> None:
    folder = tmp_path
    schema = "/usr/share/ovn/ovn-nb.ovsschema"
    addresses = [f"tcp:127.0.0.1:{free_port()}" for _ in range(2)]
    subprocess.run(["ovsdb-tool", "create-cluster", folder / "db0", schema, addresses[0]], check=True)
    subprocess.run(["ovsdb-tool", "join-cluster", folder / "db1", NB, addresses[1], addresses[0]], check=True)
    ports = [free_port() for _ in addresses]
    servers = []
    try:
        for number, port in enumerate(ports):
            command = ["ovsdb-server", folder / f"db{number}", f"--remote=ptcp:{port}:127.0.0.1", "--no-chdir"]
            command += [f"--remote=punix:{folder}/{number}.sock"]
            command += [f"--unixctl={folder}/{number}.ctl", "-vconsole:off"]
            servers.append(subprocess.Popen(command))
        deadline = time.monotonic() + 15
        while True:  # until the second has joined
            try:
                with pytest.raises(NotLeader, match="does not lead its cluster; name the other members too"):
                    connect(f"tcp:127.0.0.1:{ports[1]}", timeout=1)
                break
            except ConnectionFailed:
                assert time.monotonic() < deadline
                time.sleep(0.05)
        with connect(f"tcp:127.0.0.1:{ports[1]},tcp:127.0.0.1:{ports[0]}") as client:
            assert str(client.remote) == f"tcp:127.0.0.1:{ports[0]}"
            make(client, switch())
        with connect(f"unix:{folder}/1.sock") as client:  # the server of this machine passes writes on
            assert client.snapshot(["Logical_Switch"]).count("Logical_Switch") == 1
            make(client, switch("another"))
    finally:
        for server in servers:
            server.kill()
            server.wait()
