# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
from __future__ import annotations

from typing import Any

import pytest
from module_runner import ModuleFailed, run_module
from ovsdb_servers import Server


def bridges(server: Server, *items: dict[str, Any], **options: Any) -> dict[str, Any]:
    return run_module("ovs_bridge", bridges=list(items), **{"remote": server.remote, "wait": False, **options})


def ports(server: Server, *items: dict[str, Any], **options: Any) -> dict[str, Any]:
    return run_module("ovs_port", ports=list(items), **{"remote": server.remote, "wait": False, **options})


def named(server: Server, table: str) -> dict[str, dict[str, Any]]:
    return {row["name"]: row for row in server.rows(table)}


def members(server: Server, bridge: str) -> set[str]:
    names = {row["_uuid"]: name for name, row in named(server, "Port").items()}
    held = named(server, "Bridge")[bridge]["ports"]
    return {names[uuid] for uuid in (held if isinstance(held, list) else [held])}


def same_twice(run: Any, server: Server, *items: dict[str, Any]) -> dict[str, Any]:
    """Check mode foretells the run, and a second run does nothing."""
    before = server.dump()
    foretold = run(server, *items, check=True)
    assert server.dump() == before
    done = run(server, *items)
    assert foretold == done
    after = server.dump()
    again = run(server, *items)
    assert not again["changed"]
    assert again["diff"] == {"before": {}, "after": {}}
    assert server.dump() == after
    return done


BRIDGE = {
    "name": "br-int",
    "fail_mode": "secure",
    "datapath_type": "netdev",
    "protocols": ["OpenFlow13", "OpenFlow15"],
    "other_config": {"disable-in-band": True, "hwaddr": "0a:58:00:00:00:01"},
    "external_ids": {"bridge-id": "br-int"},
}


def test_a_bridge_is_made_changed_and_unset(ovs_server: Server) -> None:
    made = same_twice(bridges, ovs_server, BRIDGE, {"name": "br-ex"})
    assert {"action": "create", "table": "Bridge", "name": "br-ex"} in made["changes"]
    row = named(ovs_server, "Bridge")["br-int"]
    assert (row["fail_mode"], row["datapath_type"]) == ("secure", "netdev")
    assert row["protocols"] == ["OpenFlow13", "OpenFlow15"]
    assert row["other_config"] == {"disable-in-band": "true", "hwaddr": "0a:58:00:00:00:01"}
    assert named(ovs_server, "Interface")["br-int"]["type"] == "internal"

    # What is not named stays: the fail mode of a bridge that is only mentioned (openvswitch.openvswitch clears it).
    assert not bridges(ovs_server, {"name": "br-int"})["changed"]

    change = {
        "name": "br-int",
        "fail_mode": "standalone",
        "protocols": [],
        "other_config": {"hwaddr": None, "a": "x=y", "b": 1},
        "external_ids": {"new": "'quoted'"},
    }
    same_twice(bridges, ovs_server, change)
    row = named(ovs_server, "Bridge")["br-int"]
    assert (row["fail_mode"], row["protocols"]) == ("standalone", [])
    assert row["other_config"] == {"disable-in-band": "true", "a": "x=y", "b": "1"}
    assert row["external_ids"] == {"bridge-id": "br-int", "new": "'quoted'"}

    exact = {"name": "br-int", "external_ids": {"only": "this"}, "clear": ["fail_mode", "external_ids", "other_config"]}
    same_twice(bridges, ovs_server, exact)
    row = named(ovs_server, "Bridge")["br-int"]
    assert (row["fail_mode"], row["other_config"], row["external_ids"]) == ([], {}, {"only": "this"})


def test_a_deleted_bridge_takes_its_ports_along(ovs_server: Server) -> None:
    empty = ovs_server.dump()
    bridges(ovs_server, BRIDGE)
    ports(ovs_server, {"name": "eth1", "bridge": "br-int"})
    same_twice(bridges, ovs_server, {"name": "br-int", "state": "absent"})
    after = ovs_server.dump()
    assert {name: rows for name, rows in after.items() if rows != empty[name]} == {}


@pytest.mark.parametrize(
    ("bridge", "message"),
    [
        ({"name": "a-name-that-is-too-long"}, "'a-name-that-is-too-long': a name has 1 to 15 characters"),
        ({"name": "br0", "protocols": ["OpenFlow99"]}, "Bridge 'br0': column protocols: 'OpenFlow99' is none of"),
        ({"name": "br0", "fail_mode": "open"}, "value of fail_mode must be one of"),
        ({"name": "br0", "other_config": {"a": {"b": 1}}}, "key 'a': .*neither"),
    ],
)
def test_bad_bridges(ovs_server: Server, bridge: dict, message: str) -> None:
    before = ovs_server.dump()
    with pytest.raises(ModuleFailed, match=message):
        bridges(ovs_server, {"name": "br-good"}, bridge)
    assert ovs_server.dump() == before


def test_ports_of_every_kind(ovs_server: Server) -> None:
    bridges(ovs_server, {"name": "br0"}, {"name": "br1"})
    wanted = [
        {"name": "eth1", "bridge": "br0", "external_ids": {"a": 1}},
        {
            "name": "storage0",
            "bridge": "br0",
            "tag": 30,
            "interfaces": [{"type": "internal", "mtu_request": 9000, "mac": "0a:58:00:00:00:02", "ofport_request": 7}],
        },
        {"name": "p0", "bridge": "br0", "interfaces": [{"type": "patch", "options": {"peer": "p1"}}]},
        {"name": "p1", "bridge": "br1", "interfaces": [{"type": "patch", "options": {"peer": "p0"}}]},
        {"name": "trunk0", "bridge": "br1", "trunks": [10, 20], "vlan_mode": "trunk"},
        {"name": "bond0", "bridge": "br1", "interfaces": [{"name": "eth2"}, {"name": "eth3"}]},
    ]
    same_twice(ports, ovs_server, *wanted)
    interfaces, stored = named(ovs_server, "Interface"), named(ovs_server, "Port")
    assert members(ovs_server, "br0") == {"br0", "eth1", "storage0", "p0"}
    assert (stored["storage0"]["tag"], stored["trunk0"]["trunks"]) == (30, [10, 20])
    assert interfaces["storage0"]["mtu_request"] == 9000
    assert interfaces["p0"]["options"] == {"peer": "p1"}
    assert len(stored["bond0"]["interfaces"]) == 2

    # A port that is mentioned without a tag keeps it (openvswitch.openvswitch would write tag=None).
    assert not ports(ovs_server, {"name": "storage0", "bridge": "br0"})["changed"]

    change = [
        {
            "name": "storage0",
            "bridge": "br1",  # moves
            "clear": ["tag"],
            "interfaces": [{"clear": ["mtu_request", "mac", "ofport_request"], "external_ids": {"iface-id": "x"}}],
        },
        {"name": "trunk0", "bridge": "br1", "trunks": [], "clear": ["vlan_mode"]},
        {"name": "bond0", "bridge": "br1", "interfaces": [{"name": "eth3"}]},
        {"name": "p0", "state": "absent"},
        {"name": "never-there", "state": "absent"},
    ]
    same_twice(ports, ovs_server, *change)
    interfaces, stored = named(ovs_server, "Interface"), named(ovs_server, "Port")
    assert members(ovs_server, "br0") == {"br0", "eth1"}
    assert members(ovs_server, "br1") == {"br1", "storage0", "p1", "trunk0", "bond0"}
    assert (stored["storage0"]["tag"], stored["trunk0"]["trunks"], stored["trunk0"]["vlan_mode"]) == ([], [], [])
    assert interfaces["storage0"]["mtu_request"] == []
    assert interfaces["storage0"]["external_ids"] == {"iface-id": "x"}
    assert "eth2" not in interfaces
    assert "p0" not in interfaces


def test_a_port_is_absent_from_a_bridge_that_never_was(ovs_server: Server) -> None:
    assert not ports(ovs_server, {"name": "eth1", "bridge": "br9", "state": "absent"})["changed"]


@pytest.mark.parametrize(
    ("port", "message"),
    [
        ({"name": "p", "bridge": "br9"}, "Port 'p' belongs into Bridge 'br9', which does not exist; create it first"),
        ({"name": "p"}, "state is present but all of the following are missing: bridge found in ports"),
        ({"name": "p", "bridge": "br0", "tag": 4096}, "Port 'p': column tag: 4096 is outside 0 to 4095"),
        ({"name": "p", "bridge": "br0", "interfaces": []}, "a port has at least one interface"),
        ({"name": "p", "bridge": "br0", "interfaces": [{"mtu_request": 0}]}, "mtu_request: 0 is outside 1 to any"),
        (
            {"name": "p", "bridge": "br0", "interfaces": [{"name": "eth1"}]},
            "Interface 'eth1' belongs to Port 'eth1' and is wanted by Port 'p'",
        ),
    ],
)
def test_bad_ports(ovs_server: Server, port: dict, message: str) -> None:
    bridges(ovs_server, {"name": "br0"})
    ports(ovs_server, {"name": "eth1", "bridge": "br0"})
    before = ovs_server.dump()
    with pytest.raises(ModuleFailed, match=message):
        ports(ovs_server, {"name": "good", "bridge": "br0"}, port)
    assert ovs_server.dump() == before


def test_waiting_for_the_switch(switch: Server) -> None:
    bridges(switch, {"name": "br0"}, wait=True)
    assert named(switch, "Interface")["br0"]["ofport"] == 65534
    result = ports(switch, {"name": "p0", "bridge": "br0", "interfaces": [{"type": "internal"}]}, wait=True)
    assert result["changed"]
    assert named(switch, "Interface")["p0"]["ofport"] > 0
    patch = {"name": "p1", "bridge": "br0", "interfaces": [{"type": "patch"}]}
    with pytest.raises(ModuleFailed, match=r"ovs-vswitchd cannot make every interface: p1: .*peer"):
        ports(switch, patch, wait=True)


def test_the_switch_does_not_run(ovs_server: Server) -> None:
    with pytest.raises(ModuleFailed, match=r"ovs-vswitchd has not taken it up within 0.1 s; is it running"):
        bridges(ovs_server, {"name": "br0"}, wait=True, timeout=0.1)
