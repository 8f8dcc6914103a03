# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""Every option of the modules for Open vSwitch: given, changed, unset, and all gone again."""

from __future__ import annotations

import subprocess
from typing import Any

import pytest
from module_lifecycle import all_of, assert_complete, content, converge
from module_runner import ModuleFailed, run_module
from ovsdb_servers import Server


def by_name(server: Server, table: str, key: str = "name") -> dict[str, dict[str, Any]]:
    return {row[key]: row for row in server.rows(table)}


def bridges(server: Server, *items: dict[str, Any]) -> dict[str, Any]:
    return converge(server, "ovs_bridge", bridges=list(items), wait=False)


def ports(server: Server, *items: dict[str, Any]) -> dict[str, Any]:
    return converge(server, "ovs_port", ports=list(items), wait=False)


def mirrors(server: Server, *items: dict[str, Any]) -> dict[str, Any]:
    return converge(server, "ovs_mirror", mirrors=list(items))


BRIDGE = {
    "name": "br0",
    "state": "present",
    "datapath_type": "netdev",
    "fail_mode": "secure",
    "protocols": ["OpenFlow13", "OpenFlow14"],
    "controllers": [
        {
            "target": "tcp:127.0.0.1:6653",
            "connection_mode": "out-of-band",
            "inactivity_probe": 10000,
            "max_backoff": 2000,
            "rate_limit": 200,
            "burst_limit": 50,
            "asynchronous": False,
        },
        {"target": "ptcp:6654:127.0.0.1"},
    ],
    "hwaddr": "0A:58:00:00:00:01",
    "stp": True,
    "rstp": False,
    "mcast_snooping": True,
    "flood_vlans": [7, 8],
    "other_config": {"stp-priority": 4096},
    "external_ids": {"a": "b=c"},
}


def test_every_option_of_a_bridge(ovs_server: Server) -> None:
    empty = content(ovs_server)
    spec = all_of("ovs_bridge", "bridges")
    assert_complete(spec, BRIDGE, but={"clear", "parent", "vlan"})
    assert_complete(spec["controllers"]["options"], BRIDGE["controllers"][0])
    bridges(ovs_server, BRIDGE)
    row, controllers = by_name(ovs_server, "Bridge")["br0"], by_name(ovs_server, "Controller", "target")
    assert (row["datapath_type"], row["fail_mode"], row["stp_enable"], row["rstp_enable"]) == (
        "netdev",
        "secure",
        True,
        False,
    )
    assert (row["mcast_snooping_enable"], row["flood_vlans"]) == (True, [7, 8])
    assert row["other_config"] == {"stp-priority": "4096", "hwaddr": "0a:58:00:00:00:01"}
    first = controllers["tcp:127.0.0.1:6653"]
    assert (first["connection_mode"], first["inactivity_probe"], first["max_backoff"]) == ("out-of-band", 10000, 2000)
    assert (first["controller_rate_limit"], first["controller_burst_limit"]) == (200, 50)
    assert first["enable_async_messages"] is False
    assert not run_module("ovs_bridge", remote=ovs_server.remote, wait=False, bridges=[{"name": "br0"}])["changed"]

    changed = {
        "name": "br0",
        "datapath_type": "system",
        "fail_mode": "standalone",
        "protocols": ["OpenFlow15"],
        "controllers": [{"target": "tcp:127.0.0.1:6653", "inactivity_probe": 0}],
        "hwaddr": "0a:58:00:00:00:02",
        "stp": False,
        "rstp": True,
        "mcast_snooping": False,
        "flood_vlans": [9],
        "other_config": {"stp-priority": None, "disable-in-band": True},
        "external_ids": {"a": None, "d": 1},
    }
    bridges(ovs_server, changed)
    row, controllers = by_name(ovs_server, "Bridge")["br0"], by_name(ovs_server, "Controller", "target")
    assert (row["datapath_type"], row["fail_mode"], row["stp_enable"], row["rstp_enable"]) == (
        "system",
        "standalone",
        False,
        True,
    )
    assert (row["protocols"], row["flood_vlans"], row["external_ids"]) == ("OpenFlow15", 9, {"d": "1"})
    assert row["other_config"] == {"disable-in-band": "true", "hwaddr": "0a:58:00:00:00:02"}
    assert list(controllers) == ["tcp:127.0.0.1:6653"]
    assert (controllers["tcp:127.0.0.1:6653"]["inactivity_probe"], first["_uuid"]) == (
        0,
        controllers["tcp:127.0.0.1:6653"]["_uuid"],
    )
    assert controllers["tcp:127.0.0.1:6653"]["connection_mode"] == []

    bridges(ovs_server, {"name": "br0", "clear": ["hwaddr"]})
    assert by_name(ovs_server, "Bridge")["br0"]["other_config"] == {"disable-in-band": "true"}
    bridges(ovs_server, {"name": "br0", "clear": list(spec["clear"]["choices"])})
    bare = by_name(ovs_server, "Bridge")["br0"]
    bridges(ovs_server, {"name": "br0", "state": "absent"}, {"name": "br1"})
    fresh = by_name(ovs_server, "Bridge")["br1"]
    same = set(fresh) - {"_uuid", "name", "ports"}
    assert {key: bare[key] for key in same} == {key: fresh[key] for key in same}
    bridges(ovs_server, {"name": "br1", "state": "absent"})
    assert content(ovs_server) == empty


def test_two_bridges_with_the_same_controller(ovs_server: Server) -> None:
    controllers = [{"target": "tcp:127.0.0.1:6653"}]
    bridges(ovs_server, *({"name": name, "controllers": controllers} for name in ("br0", "br1")))
    assert [row["target"] for row in ovs_server.rows("Controller")] == ["tcp:127.0.0.1:6653"] * 2
    probed = [{"target": "tcp:127.0.0.1:6653", "inactivity_probe": 0}]
    bridges(ovs_server, {"name": "br1", "controllers": probed})
    assert sorted(str(row["inactivity_probe"]) for row in ovs_server.rows("Controller")) == ["0", "[]"]


def test_a_bridge_that_stands_for_a_vlan(ovs_server: Server) -> None:
    bridges(ovs_server, {"name": "br0"})
    vlan = {"name": "vlan30", "parent": "br0", "vlan": 30, "external_ids": {"a": 1}}
    bridges(ovs_server, vlan)
    port = by_name(ovs_server, "Port")["vlan30"]
    assert (port["tag"], port["fake_bridge"], port["external_ids"]) == (30, True, {"fake-bridge-a": "1"})
    seen = subprocess.run(
        ["ovs-vsctl", f"--db={ovs_server.remote}", "--no-wait", "br-to-vlan", "vlan30"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert seen.stdout.strip() == "30"
    bridges(ovs_server, {**vlan, "vlan": 31, "external_ids": {"a": None, "b": 2}})
    port = by_name(ovs_server, "Port")["vlan30"]
    assert (port["tag"], port["external_ids"]) == (31, {"fake-bridge-b": "2"})
    bridges(ovs_server, {"name": "vlan30", "external_ids": {"c": 3}})
    assert by_name(ovs_server, "Port")["vlan30"]["external_ids"] == {"fake-bridge-b": "2", "fake-bridge-c": "3"}

    ports(ovs_server, {"name": "eth1", "bridge": "vlan30"})
    assert by_name(ovs_server, "Port")["eth1"]["tag"] == 31
    for wrong in ({"tag": 5}, {"clear": ["tag"]}):
        with pytest.raises(ModuleFailed, match="Bridge 'vlan30' stands for VLAN 31, so its ports have that tag"):
            ports(ovs_server, {"name": "eth1", "bridge": "vlan30", **wrong})
    with pytest.raises(ModuleFailed, match="'vlan30' stands for VLAN 31 of Bridge 'br0', which has the settings"):
        bridges(ovs_server, {"name": "vlan30", "fail_mode": "secure"})
    with pytest.raises(ModuleFailed, match="Bridge 'br0' is there and stands for no VLAN; remove it first"):
        bridges(ovs_server, {"name": "br0", "parent": "br1", "vlan": 3})

    bridges(ovs_server, {"name": "vlan30", "state": "absent"})
    assert list(by_name(ovs_server, "Port")) == ["br0"]


@pytest.mark.parametrize(
    ("bridge", "message"),
    [
        ({"name": "b", "parent": "br0"}, "parameters are required together: parent, vlan"),
        ({"name": "b", "parent": "br0", "vlan": 1, "stp": True}, "stands for a VLAN has no stp; give that to 'br0'"),
        ({"name": "b", "parent": "br9", "vlan": 1}, "Port 'b' belongs into Bridge 'br9', which does not exist"),
        ({"name": "b", "stp": True, "rstp": True}, "stp and rstp exclude each other"),
        ({"name": "b", "hwaddr": "0a:58:00:00:00:01", "other_config": {"hwaddr": "x"}}, "hwaddr is given twice"),
        ({"name": "b", "controllers": [{"target": "a"}, {"target": "a"}]}, "controller 'a' is given twice"),
        ({"name": "b", "controllers": [{"target": "a", "max_backoff": 1}]}, "max_backoff: 1 is outside 1000 to any"),
        ({"name": "b", "flood_vlans": [5000]}, "flood_vlans: 5000 is outside 0 to 4095"),
    ],
)
def test_bad_bridges_of_the_wider_kind(ovs_server: Server, bridge: dict[str, Any], message: str) -> None:
    before = content(ovs_server)
    with pytest.raises(ModuleFailed, match=message):
        bridges(ovs_server, {"name": "br-good"}, bridge)
    assert content(ovs_server) == before


PORT = {
    "name": "bond0",
    "bridge": "br0",
    "state": "present",
    "tag": 10,
    "trunks": [10, 20],
    "vlan_mode": "native-untagged",
    "cvlans": [5],
    "protected": True,
    "bond_mode": "balance-slb",
    "lacp": "active",
    "bond_updelay": 100,
    "bond_downdelay": 200,
    "bond_active_interface": "0a:58:00:00:00:09",
    "other_config": {"lacp-time": "fast", "bond-rebalance-interval": 10000},
    "external_ids": {"a": 1},
    "qos": {
        "type": "linux-htb",
        "other_config": {"max-rate": 1000},
        "external_ids": {"x": "y"},
        "queues": [
            {"id": 0, "dscp": 46, "other_config": {"min-rate": 5}, "external_ids": {"q": 0}},
            {"id": 7},
        ],
    },
    "interfaces": [
        {
            "name": "eth1",
            "type": "system",
            "options": {"a": 1},
            "mtu_request": 9000,
            "ofport_request": 5,
            "mac": "0a:58:00:00:00:05",
            "ingress_policing_rate": 100,
            "ingress_policing_burst": 10,
            "bfd": {"enable": True},
            "other_config": {"o": 1},
            "external_ids": {"iface-id": "x"},
        },
        {"name": "eth2"},
    ],
}


def test_every_option_of_a_port(ovs_server: Server) -> None:
    bridges(ovs_server, {"name": "br0"})
    empty = content(ovs_server)
    spec = all_of("ovs_port", "ports")
    assert_complete(spec, PORT, but={"clear"})
    assert_complete(spec["interfaces"]["options"], PORT["interfaces"][0], but={"clear"})
    assert_complete(spec["qos"]["options"], PORT["qos"])
    assert_complete(spec["qos"]["options"]["queues"]["options"], PORT["qos"]["queues"][0])
    ports(ovs_server, PORT)
    port, first = by_name(ovs_server, "Port")["bond0"], by_name(ovs_server, "Interface")["eth1"]
    assert (port["bond_mode"], port["lacp"], port["bond_updelay"], port["bond_downdelay"]) == (
        "balance-slb",
        "active",
        100,
        200,
    )
    assert (port["cvlans"], port["protected"], port["bond_active_slave"]) == (5, True, "0a:58:00:00:00:09")
    assert port["other_config"] == {"lacp-time": "fast", "bond-rebalance-interval": "10000"}
    assert (first["ingress_policing_rate"], first["ingress_policing_burst"], first["bfd"]) == (
        100,
        10,
        {"enable": "true"},
    )
    (qos,) = ovs_server.rows("QoS")
    assert (qos["type"], qos["other_config"], sorted(qos["queues"])) == ("linux-htb", {"max-rate": "1000"}, [0, 7])
    assert not run_module("ovs_port", remote=ovs_server.remote, wait=False, ports=[{"name": "bond0", "bridge": "br0"}])[
        "changed"
    ]

    changed = {
        "name": "bond0",
        "bridge": "br0",
        "tag": 11,
        "trunks": [30],
        "vlan_mode": "dot1q-tunnel",
        "cvlans": [6],
        "protected": False,
        "bond_mode": "active-backup",
        "lacp": "off",
        "bond_updelay": 0,
        "bond_downdelay": 1,
        "bond_active_interface": "0a:58:00:00:00:08",
        "other_config": {"lacp-time": None},
        "external_ids": {"a": 2},
        "qos": {"type": "linux-hfsc", "queues": [{"id": 7, "other_config": {"min-rate": 9}}]},
        "interfaces": [
            {
                "name": "eth1",
                "type": "internal",
                "options": {"a": None},
                "mtu_request": 1400,
                "ofport_request": 6,
                "mac": "0a:58:00:00:00:06",
                "ingress_policing_rate": 200,
                "ingress_policing_burst": 0,
                "bfd": {"enable": False},
                "other_config": {"o": 2},
                "external_ids": {"iface-id": "z"},
            },
            {"name": "eth3"},
        ],
    }
    ports(ovs_server, changed)
    port = by_name(ovs_server, "Port")["bond0"]
    assert (port["bond_mode"], port["lacp"], port["bond_updelay"], port["tag"]) == ("active-backup", "off", 0, 11)
    assert sorted(by_name(ovs_server, "Interface")) == ["br0", "eth1", "eth3"]
    (renewed,) = ovs_server.rows("QoS")
    assert (renewed["_uuid"], renewed["type"], renewed["other_config"]) == (qos["_uuid"], "linux-hfsc", {})
    assert [row["other_config"] for row in ovs_server.rows("Queue")] == [{"min-rate": "9"}]

    every = list(spec["clear"]["choices"])
    clear = list(spec["interfaces"]["options"]["clear"]["choices"])
    ports(
        ovs_server,
        {**{"name": "bond0", "bridge": "br0"}, "clear": every, "interfaces": [{"name": "eth1", "clear": clear}]},
    )
    ports(ovs_server, {"name": "new", "bridge": "br0", "interfaces": [{"type": "internal"}]})
    for table, ours, fresh in (("Port", "bond0", "new"), ("Interface", "eth1", "new")):
        rows = by_name(ovs_server, table)
        same = set(rows[fresh]) - {"_uuid", "name", "interfaces"}
        assert {key: rows[ours][key] for key in same} == {key: rows[fresh][key] for key in same}
    assert (ovs_server.rows("QoS"), ovs_server.rows("Queue")) == ([], [])

    ports(ovs_server, PORT)
    ports(ovs_server, {"name": "bond0", "state": "absent"}, {"name": "new", "state": "absent"})
    assert content(ovs_server) == empty


def test_quality_of_service_goes_with_its_bridge(ovs_server: Server) -> None:
    empty = content(ovs_server)
    bridges(ovs_server, {"name": "br0"})
    ports(ovs_server, PORT)
    bridges(ovs_server, {"name": "br0", "state": "absent"})
    assert content(ovs_server) == empty


def test_quality_of_service_that_somebody_else_made(ovs_server: Server) -> None:
    bridges(ovs_server, {"name": "br0"})
    ports(ovs_server, {"name": "eth1", "bridge": "br0"}, {"name": "eth2", "bridge": "br0"})
    vsctl = ["ovs-vsctl", f"--db={ovs_server.remote}", "--no-wait"]
    shared = ["set", "port", "eth1", "qos=@q", "--", "set", "port", "eth2", "qos=@q"]
    new = [
        "--",
        "--id=@q",
        "create",
        "qos",
        "type=linux-noop",
        "queues=0=@a",
        "--",
        "--id=@a",
        "create",
        "queue",
        "dscp=1",
    ]
    subprocess.run([*vsctl, *shared, *new], check=True, capture_output=True)
    theirs = ovs_server.rows("QoS")[0]
    ports(ovs_server, {"name": "eth1", "bridge": "br0", "qos": {"type": "linux-htb", "queues": [{"id": 0}]}})
    assert sorted(row["type"] for row in ovs_server.rows("QoS")) == ["linux-htb", "linux-noop"]
    assert by_name(ovs_server, "Port")["eth2"]["qos"] == theirs["_uuid"]
    ports(ovs_server, {"name": "eth1", "bridge": "br0", "clear": ["qos"]}, {"name": "eth2", "state": "absent"})
    assert ovs_server.rows("QoS") == [theirs]
    assert len(ovs_server.rows("Queue")) == 1


@pytest.mark.parametrize(
    ("port", "message"),
    [
        ({"qos": {"type": "x", "queues": [{"id": 1}, {"id": 1}]}}, "queue 1 is given twice"),
        ({"qos": {"type": "x", "queues": [{"id": 1, "dscp": 64}]}}, "column dscp: 64 is outside 0 to 63"),
        ({"qos": {"type": "x", "queues": [{"id": -1}]}}, "column queues: -1 is outside 0"),
        ({"bond_mode": "balance"}, "value of bond_mode must be one of"),
        ({"interfaces": [{"ingress_policing_rate": -1}]}, "ingress_policing_rate: -1 is outside 0 to any"),
        ({"interfaces": [{"ofport_request": 65280}]}, "ofport_request: 65280 is outside 1 to 65279"),
    ],
)
def test_bad_ports_of_the_wider_kind(ovs_server: Server, port: dict[str, Any], message: str) -> None:
    bridges(ovs_server, {"name": "br0"})
    before = content(ovs_server)
    with pytest.raises(ModuleFailed, match=message):
        ports(ovs_server, {"name": "good", "bridge": "br0"}, {"name": "p", "bridge": "br0", **port})
    assert content(ovs_server) == before


def test_the_key_of_a_tunnel_is_shown_nowhere(ovs_server: Server) -> None:
    bridges(ovs_server, {"name": "br0"})
    tunnel = {"type": "geneve", "options": {"remote_ip": "192.0.2.9", "psk": "swordfish"}}
    done = ports(ovs_server, {"name": "t", "bridge": "br0", "interfaces": [tunnel]})
    assert by_name(ovs_server, "Interface")["t"]["options"]["psk"] == "swordfish"
    read = run_module("ovs_info", remote=ovs_server.remote)
    assert "swordfish" not in str(done) + str(read)
    assert read["bridges"][0]["ports"][1]["interfaces"][0]["options"]["remote_ip"] == "192.0.2.9"


MIRROR = {
    "name": "m",
    "bridge": "br0",
    "state": "present",
    "select_all": True,
    "select_src_port": ["eth1", "eth2"],
    "select_dst_port": ["eth1"],
    "select_vlan": [1, 2],
    "output_port": "eth3",
    "snaplen": 100,
    "external_ids": {"a": 1},
}


def test_every_option_of_a_mirror(ovs_server: Server) -> None:
    spec = all_of("ovs_mirror", "mirrors")
    assert_complete(spec, MIRROR, but={"clear", "output_vlan"})
    bridges(ovs_server, {"name": "br0"}, {"name": "br1"})
    names = [("eth1", "br0"), ("eth2", "br0"), ("eth3", "br0"), ("eth4", "br1")]
    ports(ovs_server, *({"name": name, "bridge": bridge} for name, bridge in names))
    empty = content(ovs_server)
    mirrors(ovs_server, MIRROR, {"name": "m", "bridge": "br1", "output_vlan": 5})
    uuids = {name: row["_uuid"] for name, row in by_name(ovs_server, "Port").items()}
    (first,) = (row for row in ovs_server.rows("Mirror") if row["select_all"])
    assert first["select_src_port"] == sorted([uuids["eth1"], uuids["eth2"]])
    assert (first["select_dst_port"], first["output_port"]) == (uuids["eth1"], uuids["eth3"])
    assert (first["select_vlan"], first["snaplen"], first["external_ids"]) == ([1, 2], 100, {"a": "1"})

    changed = {
        "name": "m",
        "bridge": "br0",
        "select_all": False,
        "select_src_port": ["eth3"],
        "select_dst_port": [],
        "select_vlan": [3],
        "output_vlan": 9,
        "snaplen": 200,
        "external_ids": {"a": None},
    }
    mirrors(ovs_server, changed)
    (row,) = (row for row in ovs_server.rows("Mirror") if row["_uuid"] == first["_uuid"])
    assert (row["select_src_port"], row["select_dst_port"], row["output_port"]) == (uuids["eth3"], [], [])
    assert (row["output_vlan"], row["external_ids"]) == (9, {})
    mirrors(ovs_server, {"name": "m", "bridge": "br0", "clear": list(spec["clear"]["choices"])})
    mirrors(ovs_server, {"name": "bare", "bridge": "br0"})
    bare = by_name(ovs_server, "Mirror")["bare"]
    (row,) = (row for row in ovs_server.rows("Mirror") if row["_uuid"] == first["_uuid"])
    assert {**row, "_uuid": 0, "name": 0} == {**bare, "_uuid": 0, "name": 0}

    gone = [{"name": name, "bridge": bridge, "state": "absent"} for name, bridge in (("m", "br0"), ("bare", "br0"))]
    mirrors(ovs_server, *gone, {"name": "m", "bridge": "br9", "state": "absent"})
    assert len(ovs_server.rows("Mirror")) == 1
    mirrors(ovs_server, {"name": "m", "bridge": "br1", "state": "absent"}, {**MIRROR, "name": "other"})
    mirrors(ovs_server, {"name": "other", "bridge": "br0", "state": "absent"})
    assert content(ovs_server) == empty


@pytest.mark.parametrize(
    ("mirror", "message"),
    [
        ({"bridge": "br9"}, "Mirror 'm' belongs into Bridge 'br9', which does not exist; create it first"),
        ({"output_port": "eth9"}, "Mirror 'm' refers to Port 'eth9', which Bridge 'br0' does not have"),
        ({"select_src_port": ["br1"]}, "Mirror 'm' refers to Port 'br1', which Bridge 'br0' does not have"),
        ({"snaplen": 1}, "snaplen: 1 is outside 14 to 65535"),
        ({"output_port": "br0", "output_vlan": 1}, "parameters are mutually exclusive: output_port|output_vlan"),
    ],
)
def test_bad_mirrors(ovs_server: Server, mirror: dict[str, Any], message: str) -> None:
    bridges(ovs_server, {"name": "br0"}, {"name": "br1"})
    before = content(ovs_server)
    with pytest.raises(ModuleFailed, match=message):
        mirrors(ovs_server, {"name": "good", "bridge": "br0"}, {"name": "m", "bridge": "br0", **mirror})
    assert content(ovs_server) == before


def test_every_option_of_managers(ovs_server: Server) -> None:
    spec = all_of("ovs_manager", "managers")
    full = {
        "target": "pssl:6640",
        "connection_mode": "out-of-band",
        "inactivity_probe": 0,
        "max_backoff": 1000,
        "dscp": 48,
        "external_ids": {"a": 1},
    }
    assert_complete(spec, full)
    empty = content(ovs_server)
    ssl = {"private_key": "/k", "certificate": "/c", "ca_certificate": "/a", "bootstrap": True}
    converge(ovs_server, "ovs_manager", managers=[full, {"target": "ptcp:6641:[::1]"}], ssl=ssl)
    row = by_name(ovs_server, "Manager", "target")["pssl:6640"]
    assert (row["connection_mode"], row["inactivity_probe"], row["other_config"]) == ("out-of-band", 0, {"dscp": "48"})
    (files,) = ovs_server.rows("SSL")
    assert (files["private_key"], files["bootstrap_ca_cert"]) == ("/k", True)
    converge(ovs_server, "ovs_manager", managers=[{"target": "pssl:6640"}], ssl={**ssl, "bootstrap": False})
    (row,) = ovs_server.rows("Manager")
    assert (row["connection_mode"], row["inactivity_probe"], row["other_config"]) == ([], [], {})
    assert not run_module("ovs_manager", remote=ovs_server.remote)["changed"]
    converge(ovs_server, "ovs_manager", managers=[], ssl={"state": "absent"})
    assert content(ovs_server) == empty


@pytest.mark.parametrize(
    ("manager", "message"),
    [
        ({"target": "6640"}, "manager '6640': write pssl:port"),
        ({"target": "ptcp:1", "dscp": 64}, "manager 'ptcp:1': dscp is 0 to 63"),
        ({"target": "ptcp:1", "inactivity_probe": -1}, "inactivity_probe is a number of milliseconds"),
        ({"target": "ptcp:1", "max_backoff": 1}, "Manager 'ptcp:1': column max_backoff: 1 is outside 1000 to any"),
    ],
)
def test_bad_managers(ovs_server: Server, manager: dict[str, Any], message: str) -> None:
    with pytest.raises(ModuleFailed, match=message):
        run_module("ovs_manager", remote=ovs_server.remote, managers=[manager])
    with pytest.raises(ModuleFailed, match="all of the following are missing: private_key"):
        run_module("ovs_manager", remote=ovs_server.remote, ssl={"certificate": "/c"})


def test_what_the_switch_makes_of_it(switch: Server) -> None:
    run_module("ovs_bridge", remote=switch.remote, bridges=[{"name": "br0", "hwaddr": "0A:58:00:00:00:AA"}])
    wanted = [
        {"name": "tunnel0", "bridge": "br0", "interfaces": [{"type": "geneve", "options": {"remote_ip": "192.0.2.9"}}]},
        {"name": "p0", "bridge": "br0", "interfaces": [{"ofport_request": 77, "mtu_request": 1400}]},
        {
            "name": "bond0",
            "bridge": "br0",
            "bond_mode": "active-backup",
            "interfaces": [{"name": "p1"}, {"name": "p2"}],
        },
    ]
    run_module("ovs_port", remote=switch.remote, ports=wanted)
    assert not run_module("ovs_port", remote=switch.remote, ports=wanted)["changed"]
    mirror = {"name": "m", "bridge": "br0", "select_src_port": ["p0"], "output_port": "tunnel0"}
    run_module("ovs_mirror", remote=switch.remote, mirrors=[mirror])
    query = "bridges[].ports[].interfaces[].{name: name, ofport: ofport, mac: mac_in_use}"
    read = run_module("ovs_info", remote=switch.remote, query=query)
    found = {row["name"]: row for row in read["result"]}
    assert set(found) == {"br0", "tunnel0", "p0", "p1", "p2"}
    assert (found["p0"]["ofport"], found["br0"]["mac"]) == (77, "0a:58:00:00:00:aa")
    assert read["bridges"][0]["mirrors"][0]["select_src_port"] == ["p0"]
    shown = subprocess.run(
        ["ovs-appctl", "-t", f"{switch.folder}/vswitchd.ctl", "bond/show", "bond0"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert "bond_mode: active-backup" in shown.stdout
    assert run_module("ovs_info", remote=switch.remote, bridges=["none"])["bridges"] == []


SINGLE = {
    "ovs_bridge": ("bridges", {"name": "br9", "fail_mode": "secure", "other_config": {"stp-priority": 4096}}),
    "ovs_port": ("ports", {"name": "p9", "bridge": "br0", "tag": 7, "interfaces": [{"type": "internal"}]}),
    "ovs_mirror": ("mirrors", {"name": "m9", "bridge": "br0", "select_all": True, "output_vlan": 9}),
}


@pytest.mark.parametrize("module", sorted(SINGLE))
def test_one_object_as_well_as_a_list(module: str, ovs_server: Server) -> None:
    plural, item = SINGLE[module]
    wait = {} if module == "ovs_mirror" else {"wait": False}
    bridges(ovs_server, {"name": "br0"})
    empty = content(ovs_server)
    assert converge(ovs_server, module, **item, **wait)["changed"]
    assert not run_module(module, remote=ovs_server.remote, **{plural: [item]}, **wait)["changed"]
    there = content(ovs_server)
    with pytest.raises(ModuleFailed, match=f"name: not beside {plural}; give it to each of its items"):
        run_module(module, remote=ovs_server.remote, name="x", **{plural: [item]}, **wait)
    with pytest.raises(ModuleFailed, match=f"state: not beside {plural}"):
        run_module(module, remote=ovs_server.remote, state="absent", **{plural: [item]}, **wait)
    with pytest.raises(ModuleFailed, match=f"missing: name.* of a single object, or {plural}"):
        run_module(module, remote=ovs_server.remote, **wait)
    assert content(ovs_server) == there
    place = {} if module == "ovs_bridge" else {"bridge": "br0"}
    assert converge(ovs_server, module, name=item["name"], state="absent", **place, **wait)["changed"]
    assert content(ovs_server) == empty


@pytest.mark.parametrize(
    ("module", "options", "message"),
    [
        ("ovs_bridge", {"name": "b", "parent": "br0"}, "parameters are required together: parent, vlan"),
        ("ovs_port", {"name": "p"}, "state is present but all of the following are missing: bridge"),
        ("ovs_mirror", {"name": "m"}, "missing: bridge of a single object, or mirrors"),
        ("ovs_mirror", {"name": "m", "bridge": "b", "output_port": "p", "output_vlan": 1}, "mutually exclusive"),
    ],
)
def test_half_an_object(module: str, options: dict[str, Any], message: str, ovs_server: Server) -> None:
    before = content(ovs_server)
    with pytest.raises(ModuleFailed, match=message):
        run_module(module, remote=ovs_server.remote, **options)
    assert content(ovs_server) == before
