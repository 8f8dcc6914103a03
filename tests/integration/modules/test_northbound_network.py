# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""Whole networks as documents, and what northbound objects have to do with each other."""

from __future__ import annotations

import json
import shutil
import subprocess
from typing import Any

import pytest
from module_runner import ModuleFailed, run_module
from northbound_values import FOUNDATION, MAC, OTHER_MAC
from ovsdb_servers import Server

NETWORK: dict[str, Any] = {
    **FOUNDATION,
    "static_routes": [
        {"router": "lr1", "prefix": "0.0.0.0/0", "nexthop": "192.0.2.9", "output_port": "rp1", "bfd": True},
        {"router": "lr1", "prefix": "10.0.0.0/8", "nexthop": "192.0.2.8", "ecmp": True},
        {"router": "lr1", "prefix": "10.0.0.0/8", "nexthop": "192.0.2.9", "ecmp": True},
        {"router": "lr2", "prefix": "10.0.0.0/8", "nexthop": "discard"},
    ],
    "router_policies": [{"router": "lr1", "priority": 5, "match": "ip4", "action": "allow"}],
    "nat_rules": [
        {"router": "lr1", "type": "snat", "external_ip": "198.51.100.1", "logical_ip": "10.0.0.0/8"},
        {"router": "lr2", "type": "snat", "external_ip": "198.51.100.1", "logical_ip": "10.0.0.0/8"},
    ],
    "acls": [
        {"switch": "sw1", "direction": "to-lport", "priority": 1, "match": "ip4", "action": "drop", "log": True},
        {"port_group": "pg1", "direction": "to-lport", "priority": 1, "match": "ip4", "action": "allow"},
    ],
    "qos_rules": [{"switch": "sw1", "direction": "to-lport", "priority": 1, "match": "ip4", "rate": 7}],
    "meters": [{"name": "m1", "unit": "kbps", "bands": [{"rate": 1}, {"rate": 1, "burst": 2}]}],
    "static_mac_bindings": [{"logical_port": "rp1", "ip": "192.0.2.9", "mac": MAC}],
    "load_balancer_groups": [{"name": "lbg1", "load_balancers": ["lb1"]}],
}


def apply(server: Server, state: str = "merged", owner: str = "shop", **network: Any) -> dict[str, Any]:
    """Apply a document; check mode foretells it, and a second time nothing happens."""
    options = {"remote": server.remote, "owner": owner, "state": state, "network": network or None}
    before = server.dump()
    foretold = run_module("ovn_nb", check=True, **options)
    assert server.dump() == before
    done = run_module("ovn_nb", **options)
    assert done == foretold
    assert not run_module("ovn_nb", **options)["changed"]
    return done


def read(server: Server, owner: str | None = "shop") -> dict[str, Any]:
    result: dict[str, Any] = run_module("ovn_nb_info", remote=server.remote, owner=owner, network=True)["network"]
    return result


def in_order(items: list[dict[str, Any]]) -> list[str]:
    return sorted(json.dumps(item, sort_keys=True) for item in items)


def names(document: dict[str, Any], section: str) -> list[str]:
    return [item["name"] for item in document.get(section, [])]


def test_round_trip(nb_server: Server) -> None:
    empty = nb_server.dump()
    apply(nb_server, **NETWORK)
    full = nb_server.dump()
    found = read(nb_server)
    assert set(found) == set(NETWORK)
    for section, items in NETWORK.items():
        assert in_order(found[section]) == in_order(items), section
    for state in ("merged", "replaced", "overridden"):
        assert not apply(nb_server, state, **found)["changed"], state
    assert nb_server.dump() == full
    assert read(nb_server, "bank") == {}
    assert apply(nb_server, "deleted")["changed"]
    assert nb_server.dump() == empty

    apply(nb_server, "overridden", **found)
    assert read(nb_server) == found, "a document makes the same network again"


def test_states(nb_server: Server) -> None:
    apply(nb_server, owner="bank", switches=[{"name": "vault"}], load_balancer_groups=[{"name": "theirs"}])
    port = {"name": "p", "switch": "web", "tag": 5, "addresses": ["unknown"], "external_ids": {"a": "b"}}
    apply(nb_server, switches=[{"name": "web", "subnet": "192.0.2.0/24"}, {"name": "old"}], switch_ports=[port])

    apply(nb_server, "merged", switch_ports=[{"name": "p", "addresses": [MAC]}])
    assert read(nb_server)["switch_ports"] == [{**port, "addresses": [MAC]}]
    apply(nb_server, "replaced", switch_ports=[{"name": "p", "switch": "web", "enabled": False}])
    assert read(nb_server)["switch_ports"] == [{"name": "p", "switch": "web", "enabled": False}]
    assert names(read(nb_server), "switches") == ["old", "web"], "others are left alone"

    apply(nb_server, "overridden", switches=[{"name": "web"}])
    assert read(nb_server) == {"switches": [{"name": "web"}]}
    apply(nb_server, "deleted", switches=[{"name": "web"}], routers=[{"name": "never"}])
    assert read(nb_server) == {}
    assert read(nb_server, "bank") == {"switches": [{"name": "vault"}], "load_balancer_groups": [{"name": "theirs"}]}
    apply(nb_server, "deleted", owner="bank")
    ids = nb_server.rows("NB_Global")[0]["external_ids"]
    assert ids == {}, "owners of rows that are gone are forgotten"


@pytest.mark.parametrize("state", ["overridden", "deleted"])
def test_everything_of_nobody_is_not_deleted(state: str, nb_server: Server) -> None:
    run_module("ovn_logical_switch", remote=nb_server.remote, name="made by hand")
    network = {"switches": []} if state == "overridden" else None
    with pytest.raises(ModuleFailed, match=f"state {state} deletes everything else of an owner, and owner is empty"):
        run_module("ovn_nb", remote=nb_server.remote, state=state, network=network)
    with pytest.raises(ModuleFailed, match="state merged needs network"):
        run_module("ovn_nb", remote=nb_server.remote)
    assert len(nb_server.rows("Logical_Switch")) == 1


def test_one_bad_object_keeps_all_from_being_written(nb_server: Server) -> None:
    before = nb_server.dump()
    for section, bad, message in [
        ("acls", {"switch": "web", "direction": "to-lport", "priority": 40000, "match": "1"}, "40000 is outside 0 to"),
        ("static_routes", {"router": "none", "prefix": "10.0.0.0/8", "nexthop": "192.0.2.1"}, "which does not exist"),
        ("static_routes", {"router": "edge", "prefix": "10.0.0.1/8", "nexthop": "192.0.2.1"}, "without host bits"),
        (
            "nat_rules",
            {"router": "edge", "type": "dnat", "external_ip": "1.2.3.4/5", "logical_ip": "1.1.1.1"},
            "not an",
        ),
        ("load_balancers", {"name": "lb", "vips": {"1.2.3.4:99999": []}}, "'1.2.3.4:99999' is not address:port"),
        ("meters", {"name": "m", "unit": "kbps", "bands": []}, "a meter has one band"),
        ("switches", {"name": "good"}, "'good' is wanted twice"),
    ]:
        item = {**bad, **({"action": "drop"} if section == "acls" else {})}
        network = {"switches": [{"name": "good"}, {"name": "web"}], "routers": [{"name": "edge"}]}
        network[section] = [*network.get(section, []), item]
        with pytest.raises(ModuleFailed, match=message) as caught:
            run_module("ovn_nb", remote=nb_server.remote, network=network)
        assert "exception" not in caught.value.result
        assert nb_server.remote in caught.value.result["msg"]
    assert nb_server.dump() == before


def route(nexthop: str, **more: Any) -> dict[str, Any]:
    return {"router": "edge", "prefix": "0.0.0.0/0", "nexthop": nexthop, **more}


def next_hops(server: Server) -> list[str]:
    return sorted(row["nexthop"] for row in server.rows("Logical_Router_Static_Route"))


def test_next_hops(nb_server: Server) -> None:
    """One takes the place of the other unless they are said to be several."""
    remote = nb_server.remote
    apply(nb_server, routers=[{"name": "edge"}, {"name": "other"}])
    apply(nb_server, static_routes=[route("192.0.2.1"), {**route("192.0.2.7"), "router": "other"}])
    apply(nb_server, static_routes=[route("192.0.2.2")])
    assert next_hops(nb_server) == ["192.0.2.2", "192.0.2.7"]
    apply(nb_server, static_routes=[route("192.0.2.3", ecmp=True)])
    apply(nb_server, static_routes=[route("192.0.2.4", ecmp=True), route("192.0.2.5", route_table="blue")])
    assert next_hops(nb_server) == ["192.0.2.2", "192.0.2.3", "192.0.2.4", "192.0.2.5", "192.0.2.7"]
    with pytest.raises(ModuleFailed, match="are next hops of one prefix; say ecmp: true of each"):
        run_module("ovn_static_route", remote=remote, owner="shop", routes=[route("192.0.2.2"), route("192.0.2.3")])
    apply(nb_server, static_routes=[route("192.0.2.4", policy="dst-ip")])
    assert next_hops(nb_server) == ["192.0.2.4", "192.0.2.5", "192.0.2.7"]
    with pytest.raises(ModuleFailed, match="belongs to 'shop' and is wanted by 'bank'"):
        run_module("ovn_static_route", remote=remote, owner="bank", **route("192.0.2.9"))


def test_groups_of_load_balancers(nb_server: Server) -> None:
    """A load balancer enters and leaves groups; other members stay."""
    apply(
        nb_server,
        load_balancers=[{"name": "a"}, {"name": "b"}],
        load_balancer_groups=[{"name": "g1", "load_balancers": ["b"]}, {"name": "g2"}],
    )

    def member(**options: Any) -> dict[str, Any]:
        return run_module("ovn_load_balancer", remote=nb_server.remote, owner="shop", **options)

    def members() -> dict[str, list[str]]:
        groups = read(nb_server)["load_balancer_groups"]
        return {group["name"]: group.get("load_balancers", []) for group in groups}

    assert member(load_balancers=[{"name": "a", "groups": ["g1", "g2"]}, {"name": "new", "groups": ["g1"]}])["changed"]
    assert members() == {"g1": ["a", "b", "new"], "g2": ["a"]}
    assert not member(name="a", groups=["g1", "g2"])["changed"]
    assert not member(name="a")["changed"]
    assert member(name="a", groups=["g2"])["changed"]
    assert members() == {"g1": ["b", "new"], "g2": ["a"]}
    assert member(name="a", groups=[])["changed"]
    assert members() == {"g1": ["b", "new"], "g2": []}
    with pytest.raises(ModuleFailed, match="refers to Load_Balancer_Group 'g9', which does not exist; create it"):
        member(name="a", groups=["g9"])
    assert member(name="b", state="absent")["changed"]
    assert members() == {"g1": ["new"], "g2": []}


def test_a_group_that_somebody_else_uses(nb_server: Server) -> None:
    """What refers to it is not changed behind its owner's back."""
    apply(nb_server, load_balancer_groups=[{"name": "g"}], ha_chassis_groups=[{"name": "h"}])
    port = {"name": "p", "switch": "vault", "type": "external", "ha_chassis_group": "h"}
    apply(
        nb_server,
        owner="bank",
        switches=[{"name": "vault", "load_balancer_groups": ["g"]}],
        switch_ports=[port],
    )
    before = nb_server.dump()
    for module, name in (("ovn_load_balancer_group", "g"), ("ovn_ha_chassis_group", "h")):
        with pytest.raises(
            ModuleFailed, match=f"'{name}' cannot go: Logical_Switch.*, which belongs to 'bank', refers"
        ):
            run_module(module, remote=nb_server.remote, owner="shop", name=name, state="absent")
    with pytest.raises(ModuleFailed, match="cannot go: Logical_Switch"):
        run_module("ovn_nb", remote=nb_server.remote, owner="shop", state="deleted")
    assert nb_server.dump() == before
    apply(nb_server, "replaced", owner="bank", switches=[{"name": "vault"}], switch_ports=[{"name": "p"}])
    apply(nb_server, "deleted")
    assert read(nb_server) == {}


def test_rules_of_two_holders_of_one_name(nb_server: Server) -> None:
    rule = {"direction": "to-lport", "priority": 1, "match": "ip4", "action": "drop"}
    apply(nb_server, switches=[{"name": "x"}], port_groups=[{"name": "x"}])
    apply(nb_server, acls=[{"switch": "x", **rule}, {"port_group": "x", **rule}])
    assert len(nb_server.rows("ACL")) == 2
    with pytest.raises(ModuleFailed, match="switch and port_group exclude each other"):
        run_module("ovn_acl", remote=nb_server.remote, switch="x", port_group="x", **rule)
    apply(nb_server, "deleted", acls=[{"port_group": "x", **rule}])
    assert [item["switch"] for item in read(nb_server)["acls"]] == ["x"]


def test_what_somebody_else_has_made(nb_server: Server) -> None:
    """Rows of ovn-nbctl are found by what they say; what has no name goes by its UUID."""
    if not shutil.which("ovn-nbctl"):
        pytest.skip("needs ovn-nbctl")

    def nbctl(*words: str) -> str:
        command = ["ovn-nbctl", f"--db={nb_server.remote}", *words]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    nbctl("ls-add", "web", "--", "lsp-add", "web", "p1", "--", "lr-add", "edge")
    nbctl("lrp-add", "edge", "rp", MAC, "192.0.2.1/24", "--", "lrp-set-gateway-chassis", "rp", "c1", "20")
    nbctl("--ecmp", "lr-route-add", "edge", "10.0.0.0/8", "192.0.2.2")
    nbctl("--ecmp", "lr-route-add", "edge", "10.0.0.0/8", "192.0.2.3")
    nbctl("lr-nat-add", "edge", "snat", "198.51.100.1", "10.0.0.0/8")
    nbctl("lr-policy-add", "edge", "10", "ip4", "reroute", "192.0.2.4")
    nbctl(
        "--log",
        "acl-add",
        "web",
        "to-lport",
        "1000",
        "ip4",
        "drop",
        "--",
        "qos-add",
        "web",
        "to-lport",
        "1",
        "ip4",
        "dscp=5",
    )
    nbctl("meter-add", "m", "drop", "10", "kbps", "5", "--", "lb-add", "lb", "192.0.2.9:80", "10.0.0.1:80,10.0.0.2:80")
    nbctl("ha-chassis-group-add", "g", "--", "ha-chassis-group-add-chassis", "g", "c1", "5")
    options = nbctl("create", "DHCP_Options", "cidr=192.0.2.0/24", "options:lease_time=60")
    records = nbctl("create", "DNS", "records:a=192.0.2.1")
    nbctl("set", "Logical_Switch", "web", f"dns_records={records}")
    before = nb_server.dump()

    found = read(nb_server, "")
    assert found["static_routes"] == [
        {"router": "edge", "prefix": "10.0.0.0/8", "nexthop": nexthop, "ecmp": True}
        for nexthop in ("192.0.2.2", "192.0.2.3")
    ]
    assert found["dns"] == [{"name": records, "records": {"a": ["192.0.2.1"]}}]
    assert found["dhcp_options"] == [{"name": options, "cidr": "192.0.2.0/24", "lease_time": 60}]
    assert found["switches"] == [{"name": "web", "dns_records": [records]}]
    for state in ("merged", "replaced"):
        assert not apply(nb_server, state, owner="", **found)["changed"], state
    assert nb_server.dump() == before
    port = {"name": "rp", "gateway_chassis": [{"chassis": "c1", "priority": 5}, {"chassis": "c2", "priority": 4}]}
    done = run_module("ovn_logical_router_port", remote=nb_server.remote, **port)
    assert [(change["action"], change["table"]) for change in done["changes"]] == [
        ("create", "Gateway_Chassis"),
        ("update", "Gateway_Chassis"),
        ("update", "Logical_Router_Port"),
    ]
    run_module("ovn_dns", remote=nb_server.remote, name=records, records={"b": ["192.0.2.2"]})
    assert nb_server.rows("DNS")[0]["external_ids"] == {}
    apply(nb_server, "deleted", owner="", **found)
    assert read(nb_server, None) == {}


def test_two_equal_rules(nb_server: Server) -> None:
    """What cannot be told apart is not touched."""
    apply(nb_server, owner="", switches=[{"name": "web"}])
    rule = {"direction": "to-lport", "priority": 1, "match": "ip4", "action": "drop"}
    rows = [{"op": "insert", "table": "ACL", "row": rule, "uuid-name": name} for name in ("a", "b")]
    hold = {
        "op": "mutate",
        "table": "Logical_Switch",
        "where": [],
        "mutations": [["acls", "insert", ["set", [["named-uuid", "a"], ["named-uuid", "b"]]]]],
    }
    nb_server.transact(*rows, hold)
    for state in ("present", "absent"):
        with pytest.raises(ModuleFailed, match="ACL 'switch web: to-lport 1 ip4': 2 rows carry this name"):
            run_module("ovn_acl", remote=nb_server.remote, switch="web", state=state, **rule)
    assert len(nb_server.rows("ACL")) == 2


def test_one_object_or_a_list(nb_server: Server) -> None:
    def switch(**options: Any) -> dict[str, Any]:
        return run_module("ovn_logical_switch", remote=nb_server.remote, **options)

    with pytest.raises(ModuleFailed, match="one of the following is required: switches, name"):
        switch()
    with pytest.raises(ModuleFailed, match=r"parameters are mutually exclusive: switches\|name"):
        switch(name="a", switches=[{"name": "b"}])
    with pytest.raises(ModuleFailed, match="subnet: not beside switches; give it to each of its items"):
        switch(subnet="192.0.2.0/24", switches=[{"name": "b"}])
    with pytest.raises(ModuleFailed, match="state: not beside switches"):
        switch(state="absent", switches=[{"name": "b"}])
    assert nb_server.rows("Logical_Switch") == []


# ---- what ovsdbapp's may_exist does, and these modules do not


def test_a_switch_that_is_there_gets_its_columns(nb_server: Server) -> None:
    """ls_add(may_exist=True) returns the row as it is."""
    apply(nb_server, switches=[{"name": "web"}])
    apply(nb_server, switches=[{"name": "web", "subnet": "192.0.2.0/24", "external_ids": {"a": "b"}}])
    assert read(nb_server)["switches"] == [{"name": "web", "subnet": "192.0.2.0/24", "external_ids": {"a": "b"}}]


def test_a_router_port_that_differs_is_changed(nb_server: Server) -> None:
    """lrp_add(may_exist=True) raises when mac, networks or peer differ."""
    port = {"name": "p", "router": "edge", "mac": MAC, "networks": ["192.0.2.1/24"], "peer": "q"}
    apply(nb_server, routers=[{"name": "edge"}], router_ports=[port])
    other = {**port, "mac": OTHER_MAC, "networks": ["198.51.100.1/24"], "peer": "r"}
    apply(nb_server, router_ports=[other])
    assert read(nb_server)["router_ports"] == [other]


def test_keys_of_maps_are_removed(nb_server: Server) -> None:
    """db_set on a map merges and never deletes."""
    apply(nb_server, switches=[{"name": "web", "external_ids": {"a": "1", "b": "2"}, "other_config": {"k": "v"}}])
    apply(nb_server, "replaced", switches=[{"name": "web", "external_ids": {"b": "3"}}])
    assert read(nb_server)["switches"] == [{"name": "web", "external_ids": {"b": "3"}}]


def test_what_is_refused_is_an_error(nb_server: Server) -> None:
    """transaction(check_error=False), the default, logs and returns None."""
    port = {"name": "p", "router": "edge", "mac": MAC, "networks": []}
    with pytest.raises(ModuleFailed, match="column networks: takes 1 to"):
        run_module("ovn_nb", remote=nb_server.remote, network={"routers": [{"name": "edge"}], "router_ports": [port]})
    assert nb_server.rows("Logical_Router") == []


def test_two_switches_of_one_name(nb_server: Server) -> None:
    """Looked up by a scan, the first one found would be taken."""
    nb_server.transact(*[{"op": "insert", "table": "Logical_Switch", "row": {"name": "web"}}] * 2)
    port = {"name": "p", "switch": "web"}
    for network in ({"switches": [{"name": "web"}]}, {"switch_ports": [port]}):
        with pytest.raises(ModuleFailed, match="Logical_Switch 'web': 2 rows carry this name"):
            run_module("ovn_nb", remote=nb_server.remote, network=network)
