# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""Open vSwitch of a Windows node: what the role sets up, against a real ovsdb-server (evidence: the database only)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from ovsdb_servers import Server, free_port

from ovn_k8s.windows.machine import openvswitch
from ovn_k8s.windows.machine.errors import MachineError
from ovn_k8s.windows.machine.openvswitch import Chassis

CHASSIS = Chassis(
    "win1", "192.0.2.21", "ssl:192.0.2.11:6642", "Ethernet", r"C:\k\ovn.key", r"C:\k\ovn.crt", r"C:\k\ca.crt"
)


@pytest.fixture
def database(new_server: Callable[..., Server]) -> tuple[Server, str]:
    port = free_port()
    server = new_server("Open_vSwitch", listen=[f"ptcp:{port}:127.0.0.1"])
    return server, f"tcp:127.0.0.1:{port}"


def settle(remote: str, chassis: Chassis = CHASSIS, **options: Any) -> bool:
    foretold = openvswitch.settle(remote, chassis, present=options.get("present", True), dry=True)
    done = openvswitch.settle(remote, chassis, present=options.get("present", True), dry=False)
    assert bool(foretold) == bool(done)
    return bool(done)


def test_a_node_is_set_up_once_and_taken_away(database: tuple[Server, str]) -> None:
    server, remote = database
    server.transact(
        {"op": "update", "table": "Open_vSwitch", "where": [], "row": {"external_ids": ["map", [["theirs", "x"]]]}}
    )
    assert settle(remote) is True
    assert settle(remote) is False
    (root,) = server.rows("Open_vSwitch")
    assert root["external_ids"]["system-id"] == "win1" and root["external_ids"]["theirs"] == "x"
    assert root["external_ids"]["ovn-remote"] == "ssl:192.0.2.11:6642"
    bridges = {row["name"]: row for row in server.rows("Bridge")}
    assert set(bridges) == {"br-int", "vEthernet (Ethernet)"}
    assert bridges["br-int"]["fail_mode"] == "secure"
    assert sorted(row["name"] for row in server.rows("Port")) == ["Ethernet", "br-int", "vEthernet (Ethernet)"]
    (keys,) = server.rows("SSL")
    assert (keys["private_key"], keys["ca_cert"]) == (r"C:\k\ovn.key", r"C:\k\ca.crt")

    other = Chassis(**{**vars(CHASSIS), "southbound": "ssl:192.0.2.12:6642", "address": "192.0.2.99"})
    assert settle(remote, other) is True
    (root,) = server.rows("Open_vSwitch")
    assert root["external_ids"]["ovn-encap-ip"] == "192.0.2.99"

    assert settle(remote, present=False) is True
    assert (server.rows("Bridge"), server.rows("Port"), server.rows("SSL")) == ([], [], [])
    (root,) = server.rows("Open_vSwitch")
    # An identity is for life: the same machine comes back as the same chassis.
    assert root["external_ids"]["system-id"] == "win1"
    assert settle(remote, present=False) is False


def test_a_database_that_does_not_answer_is_explained() -> None:
    with pytest.raises(MachineError, match="does ovsdb-server listen"):
        openvswitch.settle(f"tcp:127.0.0.1:{free_port()}", CHASSIS, present=True, dry=True)
