# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""Open vSwitch of a Windows node: what the role sets up, against a real ovsdb-server (evidence: the database only)."""

from __future__ import annotations

from collections.abc import Callable

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


def settle(remote: str, chassis: Chassis = CHASSIS) -> bool:
    foretold = openvswitch.settle(remote, chassis, dry=True)
    done = openvswitch.settle(remote, chassis, dry=False)
    assert bool(foretold) == bool(done)
    return bool(done)


def remove(remote: str) -> bool:
    foretold = openvswitch.remove(remote, CHASSIS.name, dry=True)
    done = openvswitch.remove(remote, CHASSIS.name, dry=False)
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

    owned = {"external_ids": ["map", [["ovn-k8s-owner", "pod/default/iis"]]], "name": "pod0123456789ab"}
    to_bridge = ["ports", "insert", ["named-uuid", "port"]]
    server.transact(
        {"op": "insert", "table": "Interface", "row": owned, "uuid-name": "interface"},
        {
            "op": "insert",
            "table": "Port",
            "row": {**owned, "interfaces": ["named-uuid", "interface"]},
            "uuid-name": "port",
        },
        {"op": "mutate", "table": "Bridge", "where": [["name", "==", "br-int"]], "mutations": [to_bridge]},
        # ovn-controller made a tunnel, and the bridge
        {"op": "insert", "table": "Interface", "row": {"name": "ovn-linux1-0"}, "uuid-name": "tunnel"},
        {
            "op": "insert",
            "table": "Port",
            "row": {
                "name": "ovn-linux1-0",
                "interfaces": ["named-uuid", "tunnel"],
                "external_ids": ["map", [["ovn-chassis-id", "linux1@192.0.2.12"]]],
            },
            "uuid-name": "tunnels",
        },
        {
            "op": "mutate",
            "table": "Bridge",
            "where": [["name", "==", "br-int"]],
            "mutations": [["ports", "insert", ["named-uuid", "tunnels"]]],
        },
        {"op": "update", "table": "Bridge", "where": [["name", "==", "br-int"]], "row": {"external_ids": ["map", []]}},
        {"op": "update", "table": "Port", "where": [["name", "==", "br-int"]], "row": {"external_ids": ["map", []]}},
        {
            "op": "update",
            "table": "Interface",
            "where": [["name", "==", "br-int"]],
            "row": {"external_ids": ["map", []]},
        },
    )
    assert remove(remote) is True
    assert [row["name"] for row in server.rows("Bridge")] == ["br-int"]
    assert [row["name"] for row in server.rows("Port")] == ["br-int"]
    assert server.rows("SSL") == []
    (root,) = server.rows("Open_vSwitch")
    # An identity is for life: the same machine comes back as the same chassis.
    assert root["external_ids"] == {"system-id": "win1", "theirs": "x"}
    assert remove(remote) is False


def test_a_database_that_does_not_answer_is_explained() -> None:
    with pytest.raises(MachineError, match="does ovsdb-server listen"):
        openvswitch.settle(f"tcp:127.0.0.1:{free_port()}", CHASSIS, dry=True)
