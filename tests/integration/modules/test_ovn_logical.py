# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""Logical switches, their ports, routers, and reading them back."""

from __future__ import annotations

from typing import Any

import pytest
from module_runner import ModuleFailed, run_module
from ovsdb_servers import Server

MAC = "0a:58:c0:00:02:0a"
PLURAL = {
    "ovn_logical_switch": "switches",
    "ovn_logical_router": "routers",
    "ovn_logical_switch_port": "ports",
}


def call(server: Server, module: str, *items: dict[str, Any], **options: Any) -> dict[str, Any]:
    return run_module(module, **{PLURAL[module]: list(items), "remote": server.remote, **options})


def same_twice(server: Server, module: str, *items: dict[str, Any], **options: Any) -> dict[str, Any]:
    """Check mode foretells the run, and a second run does nothing."""
    before = server.dump()
    foretold = call(server, module, *items, check=True, **options)
    assert server.dump() == before
    done = call(server, module, *items, **options)
    assert foretold == done
    after = server.dump()
    assert not call(server, module, *items, **options)["changed"]
    assert server.dump() == after
    return done


def named(server: Server, table: str) -> dict[str, dict[str, Any]]:
    return {row["name"]: row for row in server.rows(table)}


def balancers(server: Server) -> None:
    server.transact(
        {"op": "insert", "table": "Load_Balancer", "row": {"name": "lb1"}},
        {"op": "insert", "table": "Load_Balancer_Group", "row": {"name": "group1"}},
    )


def test_switches(nb_server: Server) -> None:
    balancers(nb_server)
    empty = nb_server.dump()
    wanted = {
        "name": "web",
        "other_config": {"subnet": "192.0.2.0/24", "mcast_snoop": True, "mcast_idle_timeout": 300},
        "external_ids": {"tier": "front"},
        "load_balancers": ["lb1"],
        "load_balancer_groups": ["group1"],
    }
    same_twice(nb_server, "ovn_logical_switch", wanted, {"name": "database"})
    web = named(nb_server, "Logical_Switch")["web"]
    assert web["other_config"] == {"subnet": "192.0.2.0/24", "mcast_snoop": "true", "mcast_idle_timeout": "300"}
    assert web["load_balancer"]
    assert web["load_balancer_group"]

    # ovsdbapp's ls_add(may_exist=True) would return the switch as it is
    changed = {**wanted, "other_config": {"subnet": "198.51.100.0/24", "mcast_snoop": None}, "load_balancers": []}
    same_twice(nb_server, "ovn_logical_switch", changed)
    web = named(nb_server, "Logical_Switch")["web"]
    assert web["other_config"] == {"subnet": "198.51.100.0/24", "mcast_idle_timeout": "300"}
    assert web["load_balancer"] == []
    same_twice(nb_server, "ovn_logical_switch", {"name": "web", "clear": ["other_config", "external_ids"]})
    web = named(nb_server, "Logical_Switch")["web"]
    assert (web["other_config"], web["external_ids"]) == ({}, {})

    gone = [{"name": "web", "state": "absent"}, {"name": "database", "state": "absent"}]
    result = same_twice(nb_server, "ovn_logical_switch", *gone)
    assert [change["action"] for change in result["changes"]] == ["delete", "delete"]
    assert nb_server.dump() == empty


def test_routers(nb_server: Server) -> None:
    balancers(nb_server)
    empty = nb_server.dump()
    wanted = {
        "name": "edge",
        "enabled": False,
        "options": {"chassis": "gw1", "mac_binding_age_threshold": 300},
        "load_balancer_groups": ["group1"],
    }
    same_twice(nb_server, "ovn_logical_router", wanted)
    assert named(nb_server, "Logical_Router")["edge"]["enabled"] is False
    assert not call(nb_server, "ovn_logical_router", {"name": "edge"})["changed"]
    changed = {"name": "edge", "clear": ["enabled", "options"], "options": {"chassis": "gw2"}}
    same_twice(nb_server, "ovn_logical_router", {**changed, "load_balancer_groups": []})
    row = named(nb_server, "Logical_Router")["edge"]
    assert (row["enabled"], row["options"], row["load_balancer_group"]) == ([], {"chassis": "gw2"}, [])
    same_twice(nb_server, "ovn_logical_router", {"name": "edge", "state": "absent"})
    assert nb_server.dump() == empty


def test_ports(nb_server: Server) -> None:
    call(nb_server, "ovn_logical_switch", {"name": "web"}, {"name": "other"})
    switches = nb_server.dump()
    wanted = [
        {
            "name": "machine1",
            "switch": "web",
            "addresses": [f"{MAC} 192.0.2.10 2001:db8::10"],
            "port_security": [f"{MAC} 192.0.2.10/24"],
            "enabled": True,
            "external_ids": {"id": 7},
            "options": {"requested-chassis": "linux1"},
        },
        {"name": "web-to-edge", "switch": "web", "router_port": "edge-to-web", "options": {"nat-addresses": "router"}},
        {"name": "nested", "switch": "web", "parent_name": "machine1", "tag": 5, "addresses": ["dynamic"]},
        {"name": "out", "switch": "web", "type": "localnet", "addresses": ["unknown"]},
    ]
    same_twice(nb_server, "ovn_logical_switch_port", *wanted)
    rows = named(nb_server, "Logical_Switch_Port")
    assert rows["machine1"]["addresses"] == f"{MAC} 192.0.2.10 2001:db8::10"
    assert rows["web-to-edge"]["type"] == "router"
    assert rows["web-to-edge"]["addresses"] == "router"
    assert rows["web-to-edge"]["options"] == {"nat-addresses": "router", "router-port": "edge-to-web"}

    change = [
        {
            "name": "machine1",
            "switch": "other",  # moves
            "addresses": [MAC],
            "port_security": [],
            "clear": ["enabled", "external_ids", "options"],
        },
        {"name": "web-to-edge", "switch": "web", "router_port": "edge2-to-web"},
        {"name": "nested", "switch": "web", "clear": ["parent_name", "tag"], "addresses": []},
        {"name": "out", "switch": "web", "type": "vif"},
    ]
    same_twice(nb_server, "ovn_logical_switch_port", *change)
    rows = named(nb_server, "Logical_Switch_Port")
    machine = rows["machine1"]
    assert (machine["addresses"], machine["port_security"], machine["enabled"]) == (MAC, [], [])
    assert (machine["external_ids"], machine["options"]) == ({}, {})
    assert named(nb_server, "Logical_Switch")["other"]["ports"] == machine["_uuid"]
    assert machine["_uuid"] not in named(nb_server, "Logical_Switch")["web"]["ports"]
    assert rows["web-to-edge"]["options"]["router-port"] == "edge2-to-web"
    assert (rows["nested"]["parent_name"], rows["nested"]["tag"], rows["nested"]["addresses"]) == ([], [], [])
    assert rows["out"]["type"] == ""

    same_twice(nb_server, "ovn_logical_switch_port", *({"name": name, "state": "absent"} for name in rows))
    assert nb_server.dump() == switches


@pytest.mark.parametrize(
    ("port", "message"),
    [
        ({"switch": "none"}, "'p' belongs into Logical_Switch 'none', which does not exist; create it first"),
        ({}, "to create it, give switch, which has it"),
        ({"switch": "web", "addresses": ["192.0.2.10"]}, "'p': address '192.0.2.10' is none; write a MAC"),
        ({"switch": "web", "addresses": [f"{MAC} 192.0.2.300"]}, "address .*192.0.2.300' is none"),
        ({"switch": "web", "port_security": ["dynamic"]}, "port_security 'dynamic' is none"),
        ({"switch": "web", "router_port": "x", "type": "localnet"}, "router_port makes the port of type router"),
        ({"switch": "web", "tag": 5000}, "Logical_Switch_Port 'p': column tag: 5000 is outside 1 to 4095"),
    ],
)
def test_bad_ports(nb_server: Server, port: dict, message: str) -> None:
    call(nb_server, "ovn_logical_switch", {"name": "web"})
    before = nb_server.dump()
    with pytest.raises(ModuleFailed, match=message):
        call(nb_server, "ovn_logical_switch_port", {"name": "good", "switch": "web"}, {"name": "p", **port})
    assert nb_server.dump() == before


def test_owners(nb_server: Server) -> None:
    same_twice(nb_server, "ovn_logical_switch", {"name": "web", "external_ids": {"a": "b"}}, owner="shop")
    before = nb_server.dump()
    conflict = "Logical_Switch 'web' belongs to 'shop' and is wanted by 'bank'"
    for item in ({"name": "web"}, {"name": "web", "state": "absent"}):
        with pytest.raises(ModuleFailed, match=conflict):
            call(nb_server, "ovn_logical_switch", item, owner="bank")
        with pytest.raises(ModuleFailed, match="'web' belongs to 'shop' and is wanted by 'a caller without owner'"):
            call(nb_server, "ovn_logical_switch", item)
    assert nb_server.dump() == before
    same_twice(nb_server, "ovn_logical_switch", {"name": "web", "state": "absent"}, owner="shop")


def test_a_name_that_two_rows_carry(nb_server: Server) -> None:
    insert = {"op": "insert", "table": "Logical_Switch", "row": {"name": "web"}}
    nb_server.transact(insert, insert)
    for state in ("present", "absent"):
        with pytest.raises(
            ModuleFailed, match=r"Logical_Switch 'web': 2 rows carry this name \(.*\); remove or rename"
        ):
            call(nb_server, "ovn_logical_switch", {"name": "web", "state": state})


def test_a_name_that_one_call_gives_twice(nb_server: Server) -> None:
    with pytest.raises(ModuleFailed, match="'web' is wanted twice"):
        call(nb_server, "ovn_logical_switch", {"name": "web"}, {"name": "web"})
    with pytest.raises(ModuleFailed, match="'web' is wanted and unwanted"):
        call(nb_server, "ovn_logical_switch", {"name": "web"}, {"name": "web", "state": "absent"})


def test_a_load_balancer_that_is_not_there(nb_server: Server) -> None:
    with pytest.raises(ModuleFailed, match="Logical_Switch 'web' refers to Load_Balancer 'lb9', which does not exist"):
        call(nb_server, "ovn_logical_switch", {"name": "web", "load_balancers": ["lb9"]})


def test_reading_back(nb_server: Server) -> None:
    balancers(nb_server)
    wanted = {"name": "web", "other_config": {"subnet": "192.0.2.0/24"}, "load_balancer_groups": ["group1"]}
    call(nb_server, "ovn_logical_switch", wanted, {"name": "aside"}, owner="shop")
    ports = [{"name": name, "switch": "web"} for name in ("b", "a")]
    call(nb_server, "ovn_logical_switch_port", *ports)
    before = nb_server.dump()
    result = run_module("ovn_nb_info", remote=nb_server.remote)
    assert not result["changed"]
    aside, web = result["tables"]["Logical_Switch"]
    assert (aside["name"], web["name"]) == ("aside", "web")
    assert web["ports"] == ["a", "b"]
    assert web["load_balancer_group"] == ["group1"]
    assert web["other_config"] == {"subnet": "192.0.2.0/24"}
    assert result["tables"]["Logical_Switch_Port"][0]["enabled"] is None
    assert "NB_Global" in result["tables"]

    narrow = run_module("ovn_nb_info", check=True, remote=nb_server.remote, tables=["Logical_Switch"])
    assert list(narrow["tables"]) == ["Logical_Switch"]
    assert narrow["tables"]["Logical_Switch"] == result["tables"]["Logical_Switch"]
    owned = run_module("ovn_nb_info", remote=nb_server.remote, owner="shop")
    assert [row["name"] for row in owned["tables"]["Logical_Switch"]] == ["aside", "web"]
    assert owned["tables"]["Logical_Switch_Port"] == []
    assert nb_server.dump() == before
    with pytest.raises(ModuleFailed, match="has no table Nonsense; it has ACL, Address_Set"):
        run_module("ovn_nb_info", remote=nb_server.remote, tables=["Nonsense"])


def test_queries(nb_server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("jmespath")
    call(nb_server, "ovn_logical_switch", {"name": "web", "other_config": {"subnet": "192.0.2.0/24"}}, {"name": "x"})
    query = "Logical_Switch[?other_config.subnet].{name: name, subnet: other_config.subnet}"
    result = run_module("ovn_nb_info", remote=nb_server.remote, query=query)
    assert result["result"] == [{"name": "web", "subnet": "192.0.2.0/24"}]
    with pytest.raises(ModuleFailed, match=r"query 'a\[' is no JMESPath expression"):
        run_module("ovn_nb_info", remote=nb_server.remote, query="a[")
    with pytest.raises(ModuleFailed, match="fails on this database"):
        run_module("ovn_nb_info", remote=nb_server.remote, query="sort(Logical_Switch)")


def test_queries_without_the_library(nb_server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    from ansible_collections.ovn_k8s.cluster.plugins.modules import ovn_nb_info  # noqa: PLC0415

    monkeypatch.setattr(ovn_nb_info, "jmespath", None)
    monkeypatch.setattr(ovn_nb_info, "JMESPATH_ERROR", "", raising=False)
    with pytest.raises(ModuleFailed, match=r"Failed to import the required Python library \(jmespath\)"):
        run_module("ovn_nb_info", remote=nb_server.remote, query="a")
    assert run_module("ovn_nb_info", remote=nb_server.remote)["tables"]
