# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""What modules say when the database cannot be had, and that nothing is half done then."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from module_runner import ModuleFailed, collections_path, finish_module, run_module, start_module
from ovsdb_servers import SCHEMAS, Authority, KeyPair, Server, free_port

RULE = {"direction": "to-lport", "priority": 1, "match": "ip4", "action": "drop"}
SWITCH = [{"name": "web", "other_config": {"subnet": "192.0.2.0/24"}}]


def refused(message: str, **options: Any) -> str:
    """The module fails with this message and names no line of code."""
    with pytest.raises(ModuleFailed, match=message) as caught:
        run_module("ovn_logical_switch", **{"switches": SWITCH, "timeout": 2, **options})
    assert "exception" not in caught.value.result
    return str(caught.value.result["msg"])


def test_nobody_listens(tmp_path: Path) -> None:
    refused(
        r"cannot use OVN_Northbound at unix:/.*nb.sock: .*there is no such socket; is ovsdb-server running\?",
        remote=f"unix:{tmp_path}/nb.sock",
    )
    number = free_port()
    refused(
        rf"at tcp:127.0.0.1:{number}: Connection refused; does ovsdb-server run and listen there\?",
        remote=f"tcp:127.0.0.1:{number}",
    )


def test_no_remote() -> None:
    refused("'6641' is no database remote; write unix:/path, tcp:host:port or ssl:host:port", remote="6641")


def test_another_database(sb_server: Server) -> None:
    refused(
        r"the server has no database OVN_Northbound \(it has .*OVN_Southbound.*is this the remote of another",
        remote=sb_server.remote,
    )


def test_tls(tls_server: tuple[Server, str], authority: Authority, tmp_path: Path) -> None:
    server, remote = tls_server
    keys = authority.issue("module")
    assert run_module("ovn_logical_switch", remote=remote, switches=SWITCH, **keys.options())["changed"]
    stranger = Authority(tmp_path).issue("stranger")
    refused("the server's certificate is not trusted", remote=remote, **stranger.options())
    untrusted = KeyPair(stranger.private_key, stranger.certificate, keys.ca_certificate)
    refused(
        f"{remote}: .*; is our certificate from the authority that the server trusts",
        remote=remote,
        **untrusted.options(),
    )
    refused("needs a private key, a certificate and a CA certificate", remote=remote)
    missing = {**keys.options(), "certificate": "/nonexistent.crt"}
    refused("cannot read /nonexistent.crt: No such file or directory", remote=remote, **missing)
    refused("parameters are required together: private_key, certificate", remote=remote, private_key="/k")
    assert len(server.rows("Logical_Switch")) == 1


def test_no_key_is_shown(tls_server: tuple[Server, str], authority: Authority, tmp_path: Path) -> None:
    keys = authority.issue("secret")
    secret = keys.private_key.read_text().splitlines()[1]
    broken = tmp_path / "broken.key"
    broken.write_text(keys.private_key.read_text().replace("BEGIN", "BEGUN"))
    options = {**keys.options(), "private_key": str(broken)}
    with pytest.raises(ModuleFailed, match="is no usable PEM") as caught:
        run_module("ovn_logical_switch", remote=tls_server[1], switches=SWITCH, **options)
    assert secret not in json.dumps(caught.value.result)


def test_a_server_that_is_silent(nb_server: Server) -> None:
    os.kill(nb_server.pid, signal.SIGSTOP)
    try:
        refused(r"no answer to .* within 0.2 s; is the server busy or stopped\?", remote=nb_server.remote, timeout=0.2)
    finally:
        os.kill(nb_server.pid, signal.SIGCONT)


def test_a_server_that_goes_during_the_commit(nb_server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    from ansible_collections.ovn_k8s.cluster.plugins.module_utils.ovsdb.client import Client  # noqa: PLC0415

    commit = Client.commit

    def go_silent(client: Any, made: Any) -> None:
        os.kill(nb_server.pid, signal.SIGSTOP)
        commit(client, made)

    monkeypatch.setattr(Client, "commit", go_silent)
    try:
        message = "no answer to 'transact'.*; whether the change was made is not known; run again"
        refused(message, remote=nb_server.remote, timeout=1)
    finally:
        os.kill(nb_server.pid, signal.SIGCONT)

    def go(client: Any, made: Any) -> None:
        nb_server.stop()
        commit(client, made)

    monkeypatch.setattr(Client, "commit", go)
    other = [{"name": "other"}]
    refused("whether the change was made is not known; run again", remote=nb_server.remote, switches=other)
    monkeypatch.undo()
    nb_server.start()
    run_module("ovn_logical_switch", remote=nb_server.remote, switches=SWITCH + other)
    assert sorted(row["name"] for row in nb_server.rows("Logical_Switch")) == ["other", "web"]


def test_a_schema_without_the_column(new_server: Callable[..., Server], tmp_path: Path) -> None:
    schema = json.loads(SCHEMAS["OVN_Northbound"].read_text())
    schema["version"] = "5.0.0"
    del schema["tables"]["Logical_Switch"]["columns"]["load_balancer_group"]
    del schema["tables"]["Logical_Router"]["columns"]["load_balancer_group"]
    del schema["tables"]["Load_Balancer_Group"]
    del schema["cksum"]
    (tmp_path / "old.ovsschema").write_text(json.dumps(schema))
    server = new_server("OVN_Northbound", schema=tmp_path / "old.ovsschema")
    assert run_module("ovn_logical_switch", remote=server.remote, switches=SWITCH)["changed"]
    message = "Logical_Switch 'web': this database .schema 5.0.0. has no column load_balancer_group"
    wanted = [{"name": "web", "load_balancer_groups": []}]
    refused(message, remote=server.remote, switches=wanted)


def test_what_the_server_refuses_names_the_row(nb_server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    from ansible_collections.ovn_k8s.cluster.plugins.module_utils.core import values  # noqa: PLC0415

    monkeypatch.setattr(values, "_check_atom", lambda column, base, atom: atom)  # let only the server look
    port = {"name": "p", "switch": "web", "tag": 5000}
    run_module("ovn_logical_switch", remote=nb_server.remote, switches=SWITCH)
    with pytest.raises(ModuleFailed) as caught:
        run_module("ovn_logical_switch_port", remote=nb_server.remote, ports=[port])
    text = caught.value.result["msg"]
    assert "Logical_Switch_Port 'p': the server refused the transaction and nothing was changed" in text
    assert "constraint violation (insert on Logical_Switch_Port): " in text


def test_processes_that_make_the_same_rows(nb_server: Server) -> None:
    switches = [{"name": f"s{number}", "other_config": {"subnet": f"10.0.{number}.0/24"}} for number in range(50)]
    ports = [{"name": f"p{number}", "switch": f"s{number}"} for number in range(50)]
    run_module("ovn_logical_switch", remote=nb_server.remote, switches=switches[:25])
    runs = [start_module("ovn_logical_switch", remote=nb_server.remote, switches=switches) for _ in range(4)]
    results = [finish_module(run) for run in runs]
    assert sum(result["changed"] for result in results) == 1
    runs = [start_module("ovn_logical_switch_port", remote=nb_server.remote, ports=ports) for _ in range(4)]
    assert sum(finish_module(run)["changed"] for run in runs) == 1
    assert len(nb_server.rows("Logical_Switch")) == 50
    assert len(nb_server.rows("Logical_Switch_Port")) == 50


def test_a_server_that_does_not_lead(tmp_path: Path) -> None:
    """Of a cluster's members, one that is reached over the network must lead it."""
    addresses, ports = ([f"tcp:127.0.0.1:{free_port()}" for _ in range(2)], [free_port() for _ in range(2)])
    schema = SCHEMAS["OVN_Northbound"]
    subprocess.run(["ovsdb-tool", "create-cluster", tmp_path / "db0", schema, addresses[0]], check=True)
    join = ["ovsdb-tool", "join-cluster", tmp_path / "db1", "OVN_Northbound", addresses[1], addresses[0]]
    subprocess.run(join, check=True)
    servers = []
    try:
        for number, port in enumerate(ports):
            command = ["ovsdb-server", tmp_path / f"db{number}", f"--remote=ptcp:{port}:127.0.0.1", "--no-chdir"]
            servers.append(subprocess.Popen([*command, f"--unixctl={tmp_path}/{number}.ctl", "-vconsole:off"]))
        follower, leader = f"tcp:127.0.0.1:{ports[1]}", f"tcp:127.0.0.1:{ports[0]}"
        deadline, message = time.monotonic() + 30, ""
        while "does not lead" not in message:  # until it has joined
            assert time.monotonic() < deadline, message
            with pytest.raises(ModuleFailed) as caught:
                run_module("ovn_logical_switch", remote=follower, switches=SWITCH, timeout=2)
            message = caught.value.result["msg"]
            time.sleep(0.1)
        assert message.startswith(f"cannot use OVN_Northbound at {follower}: this server does not lead")
        assert "name the other members too" in message
        assert run_module("ovn_logical_switch", remote=f"{follower},{leader}", switches=SWITCH)["changed"]
    finally:
        for server in servers:
            server.kill()
            server.wait()


def test_a_play_that_tells_all(tls_server: tuple[Server, str], authority: Authority, tmp_path: Path) -> None:
    """No part of a private key is shown at -vvvv, neither when all is well nor when it is not."""
    keys = authority.issue("play")
    secret = keys.private_key.read_text().splitlines()[1]
    options = {"remote": tls_server[1], **keys.options()}
    broken = tmp_path / "broken.key"
    broken.write_text(keys.private_key.read_text().replace("BEGIN", "BEGUN"))
    tasks = [
        {"ovn_k8s.cluster.ovn_nb": {"network": {"switches": SWITCH}, **options}},
        {"ovn_k8s.cluster.ovn_acl": {"switch": "none", **RULE, **options}, "ignore_errors": True},
        {"ovn_k8s.cluster.ovn_nb_info": {**options, "private_key": str(broken)}, "ignore_errors": True},
    ]
    play = {"hosts": "localhost", "gather_facts": False, "tasks": tasks}
    (tmp_path / "play.yml").write_text(json.dumps([play]))
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path),
        "LC_ALL": "C.UTF-8",
        "ANSIBLE_COLLECTIONS_PATH": str(collections_path()),
        "ANSIBLE_PYTHON_INTERPRETER": sys.executable,
    }
    command = [sys.executable, "-m", "ansible", "playbook", "-vvvv", "--diff", "-i", "localhost,", "-c", "local"]
    done = subprocess.run(
        [*command, "play.yml"], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    shown = done.stdout + done.stderr
    assert done.returncode == 0, shown
    assert "which does not exist; create it first" in shown
    assert "is no usable PEM" in shown
    assert "Traceback" not in shown
    assert secret not in shown
