# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
from __future__ import annotations

import time
from collections.abc import Callable

import pytest
from module_runner import ModuleFailed, run_module
from ovsdb_servers import Authority, Server, free_port


def listeners(server: Server) -> dict[str, dict]:
    return {row["target"]: row for row in server.rows("Connection")}


def test_the_list_is_exact(sb_server: Server) -> None:
    options = {"database": "southbound", "remote": sb_server.remote}
    first = {"target": "pssl:6642", "role": "ovn-controller", "inactivity_probe": 60000}
    second = {"target": "ptcp:6699:127.0.0.1", "read_only": True}
    result = run_module("ovn_connection", listeners=[first, second], **options)
    assert {change["name"] for change in result["changes"]} == {"pssl:6642", "ptcp:6699:127.0.0.1", "."}
    rows = listeners(sb_server)
    assert rows["pssl:6642"]["role"] == "ovn-controller"
    assert rows["pssl:6642"]["inactivity_probe"] == 60000
    assert rows["ptcp:6699:127.0.0.1"]["read_only"] is True
    assert not run_module("ovn_connection", listeners=[first, second], **options)["changed"]

    run_module("ovn_connection", listeners=[{"target": "pssl:6642"}], **options)
    rows = listeners(sb_server)
    assert list(rows) == ["pssl:6642"]
    assert (rows["pssl:6642"]["role"], rows["pssl:6642"]["inactivity_probe"]) == ("", [])

    assert not run_module("ovn_connection", **options)["changed"]
    run_module("ovn_connection", listeners=[], **options)
    assert listeners(sb_server) == {}
    assert not run_module("ovn_connection", listeners=[], **options)["changed"]


def test_tls_files_and_a_listener_that_the_server_opens(
    new_server: Callable[..., Server], authority: Authority
) -> None:
    server = new_server("OVN_Northbound", from_database=True)
    keys, port = authority.issue("listener"), free_port()
    options = {
        "database": "northbound",
        "listeners": [{"target": f"pssl:{port}:127.0.0.1", "inactivity_probe": 0}],
        "ssl": keys.options(),
    }
    checked = run_module("ovn_connection", check=True, remote=server.remote, **options)
    assert listeners(server) == {}
    assert server.rows("SSL") == []
    assert checked == run_module("ovn_connection", remote=server.remote, **options)
    deadline = time.monotonic() + 5
    while True:
        try:  # through the listener itself, with TLS
            again = run_module("ovn_connection", remote=f"ssl:127.0.0.1:{port}", **keys.options(), **options)
            break
        except ModuleFailed:
            assert time.monotonic() < deadline
    assert not again["changed"]

    other = authority.issue("renewed")
    run_module("ovn_connection", remote=server.remote, database="northbound", ssl=other.options())
    assert [row["certificate"] for row in server.rows("SSL")] == [str(other.certificate)]
    assert len(listeners(server)) == 1


@pytest.mark.parametrize(
    ("listener", "message"),
    [
        ({"target": "6642"}, "listener '6642': write pssl:port"),
        ({"target": "pssl:6641", "role": "ovn-controller"}, "role and read_only exist in the southbound database only"),
        ({"target": "pssl:6641", "inactivity_probe": -5}, "listener 'pssl:6641': inactivity_probe is a number"),
        ({"target": "pssl:6641", "max_backoff": 5}, "column max_backoff: 5 is outside 1000 to any"),
    ],
)
def test_bad_listeners(nb_server: Server, listener: dict, message: str) -> None:
    before = nb_server.dump()
    with pytest.raises(ModuleFailed, match=message):
        run_module("ovn_connection", database="northbound", remote=nb_server.remote, listeners=[listener])
    assert nb_server.dump() == before


def test_one_target_twice(nb_server: Server) -> None:
    twice = [{"target": "ptcp:6641"}, {"target": "ptcp:6641"}]
    with pytest.raises(ModuleFailed, match="Connection 'ptcp:6641' is wanted twice"):
        run_module("ovn_connection", database="northbound", remote=nb_server.remote, listeners=twice)
