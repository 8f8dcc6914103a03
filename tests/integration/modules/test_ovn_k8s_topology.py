# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from module_runner import ModuleFailed, finish_module, run_module, start_module
from ovsdb_servers import Server

NODES = [{"name": name, "node_ip": f"192.0.2.{number}"} for number, name in enumerate(("master", "linux1", "gw"), 11)]
GATEWAY = {
    "name": "gw",
    "interface": "ext0",
    "address": "198.51.100.2/24",
    "nexthop": "198.51.100.1",
    "mac": "52:54:00:12:34:56",
}


def lay_out(server: Server, *, check: bool = False, **options: Any) -> dict[str, Any]:
    return run_module("ovn_k8s_topology", check=check, remote=server.remote, **{"master": "master", **options})


def switches(server: Server) -> dict[str, str]:
    rows = server.rows("Logical_Switch")
    return {row["name"]: row["other_config"]["subnet"] for row in rows if "subnet" in row["other_config"]}


def test_a_network_is_made_once(nb_server: Server) -> None:
    before = nb_server.dump()
    checked = lay_out(nb_server, check=True, nodes=NODES, gateways=[GATEWAY])
    assert nb_server.dump() == before
    made = lay_out(nb_server, nodes=NODES, gateways=[GATEWAY])
    assert made == checked
    assert made["subnets"] == {"master": "10.244.0.0/24", "linux1": "10.244.1.0/24", "gw": "10.244.2.0/24"}
    assert switches(nb_server) == made["subnets"]
    assert {row["name"] for row in nb_server.rows("Logical_Router")} == {"master", "GR_gw"}
    assert nb_server.rows("NAT")[0]["external_ip"] == "198.51.100.2"
    content = nb_server.dump()
    again = lay_out(nb_server, nodes=NODES, gateways=[GATEWAY])
    assert not again["changed"]
    assert again["changes"] == []
    assert again["subnets"] == made["subnets"]
    assert nb_server.dump() == content


def test_subnets_stay_for_life(nb_server: Server) -> None:
    lay_out(nb_server, nodes=NODES)
    lay_out(nb_server, absent_nodes=["linux1"])
    assert set(switches(nb_server)) == {"master", "gw"}
    fixed = {"name": "linux3", "node_ip": "192.0.2.23", "subnet": "10.244.77.0/24"}
    result = lay_out(nb_server, nodes=[{"name": "linux2", "node_ip": "192.0.2.22"}, fixed, *reversed(NODES)])
    assert result["subnets"] == {
        "linux2": "10.244.1.0/24",  # linux1's, which was free
        "linux3": "10.244.77.0/24",
        "gw": "10.244.2.0/24",
        "linux1": "10.244.3.0/24",
        "master": "10.244.0.0/24",
    }
    limited = lay_out(nb_server, nodes=[{"name": "linux2", "node_ip": "192.0.2.99"}])
    assert limited["subnets"] == {"linux2": "10.244.1.0/24"}
    assert len(switches(nb_server)) == 5
    routes = {row["ip_prefix"] for row in nb_server.rows("Logical_Router_Static_Route")}
    assert "192.0.2.99/32" in routes
    assert "192.0.2.22/32" not in routes


def test_subnets_that_are_spoken_for_are_nobody_elses(nb_server: Server) -> None:
    reserved = {"later": "10.244.0.0/24", "gw": "10.244.9.0/24"}
    first = lay_out(nb_server, nodes=NODES, reserved=reserved)["subnets"]
    assert first == {"master": "10.244.1.0/24", "linux1": "10.244.2.0/24", "gw": "10.244.9.0/24"}
    again = lay_out(nb_server, nodes=NODES, reserved={**reserved, "master": "10.244.8.0/24"})
    assert (again["changed"], again["subnets"]) == (False, first), "what a node has goes before"
    with pytest.raises(ModuleFailed, match=r"reserved: .*10\.244\.0"):
        lay_out(nb_server, nodes=NODES, reserved={"later": "10.244.0"})


def test_absent_nodes_leave_nothing_behind(nb_server: Server) -> None:
    lay_out(nb_server, nodes=NODES[:2])
    before = nb_server.dump(identities=False)
    lay_out(nb_server, nodes=NODES, gateways=[GATEWAY])
    result = lay_out(nb_server, absent_nodes=["gw"])
    assert nb_server.dump(identities=False) == before
    assert {"action": "delete", "table": "Logical_Router", "name": "GR_gw"} in result["changes"]
    assert not lay_out(nb_server, absent_nodes=["gw", "never-there"])["changed"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"nodes": [{**NODES[0], "subnet": "10.244.9.0/24"}]},
            "'master' has subnet 10.244.0.0/24 and keeps it for life",
        ),
        ({"nodes": [{"name": "x", "node_ip": "1.2.3"}]}, "nodes: 'x': '1.2.3' is not an IPv4 address"),
        ({"cluster_cidr": "10.245.0.0/16"}, "subnet 10.244.*not in the cluster network 10.245.0.0/16"),
        ({"cluster_cidr": "10.244.1.0/16"}, "host bits"),
        ({"join_cidr": "10.244.128.0/24"}, "overlap"),
        ({"node_prefix": 8}, "node_prefix 8 does not fit: it must be 16"),
        ({"node_prefix": 31}, "node_prefix 31 does not fit"),
        ({"nodes": [NODES[0], NODES[0]]}, "nodes: 'master' is named twice"),
        ({"nodes": [NODES[0]], "absent_nodes": ["master"]}, "'master' is named in absent_nodes as well"),
        ({"gateways": [{**GATEWAY, "mac": "12:34"}]}, "gateways: 'gw': '12:34' is not a MAC address"),
        ({"gateways": [{**GATEWAY, "address": "198.51.100.2"}]}, "gateways: 'gw': .*no prefix length"),
    ],
)
def test_bad_input_changes_nothing(nb_server: Server, options: dict, message: str) -> None:
    lay_out(nb_server, nodes=NODES)
    before = nb_server.dump()
    with pytest.raises(ModuleFailed, match=message):
        lay_out(nb_server, **options)
    assert nb_server.dump() == before


def test_a_row_that_somebody_else_made_is_not_taken(nb_server: Server) -> None:
    nb_server.transact({"op": "insert", "table": "Logical_Switch", "row": {"name": "linux1"}})
    before = nb_server.dump()
    with pytest.raises(ModuleFailed, match=r"Logical_Switch 'linux1' belongs to .*nobody.* wanted by 'node/linux1'"):
        lay_out(nb_server, nodes=NODES)
    assert nb_server.dump() == before


def test_check_mode_before_there_is_a_server(tmp_path) -> None:
    options = {"master": "master", "nodes": NODES, "gateways": [GATEWAY], "remote": f"unix:{tmp_path}/nb.sock"}
    result = run_module("ovn_k8s_topology", check=True, assume_empty=True, **options)
    assert result["changed"]
    assert result["subnets"] == {"master": "10.244.0.0/24", "linux1": "10.244.1.0/24", "gw": "10.244.2.0/24"}
    assert result["diff"]["after"]["node linux1"] == {"subnet": "10.244.1.0/24"}
    with pytest.raises(ModuleFailed, match="no such socket"):
        run_module("ovn_k8s_topology", check=True, **options)


def test_runs_at_the_same_time_never_share_a_subnet(nb_server: Server) -> None:
    names = [f"node{number}" for number in range(6)]
    common = {"master": "master", "remote": nb_server.remote}
    runs = [
        start_module("ovn_k8s_topology", nodes=[{"name": name, "node_ip": f"192.0.2.{number}"}], **common)
        for number, name in enumerate(names, 20)
    ]
    subnets = [finish_module(run)["subnets"] for run in runs]
    assert switches(nb_server) == {name: subnet for given in subnets for name, subnet in given.items()}
    assert len(set(switches(nb_server).values())) == len(names)
    assert len(nb_server.rows("Logical_Router")) == 1


@pytest.mark.parametrize(
    ("table", "name", "column"),
    [
        ("Logical_Router", "master", ""),
        ("Logical_Router", "GR_gw", ""),
        ("Logical_Switch", "join", ""),
        ("Logical_Switch", "linux1", ""),
        ("Logical_Switch", "ext_gw", ""),
        ("Logical_Switch_Port", "k8s-linux1", "ports"),
    ],
)
@pytest.mark.parametrize("owner", ["", "somebody"])
def test_check_mode_refuses_the_names_that_a_run_refuses(
    nb_server: Server, table: str, name: str, column: str, owner: str
) -> None:
    """Groups of load balancers, which carry no owner and one name only once, are shared."""
    row: dict[str, Any] = {"name": name}
    if owner:
        row["external_ids"] = ["map", [["ovn-k8s-owner", owner]]]
    made = {"op": "insert", "table": table, "row": row, "uuid-name": "one"}
    held = {"op": "insert", "table": "Logical_Switch", "row": {"name": "theirs", column: ["named-uuid", "one"]}}
    nb_server.transact(made, *([held] if column else []))
    before = nb_server.dump()
    said = []
    for check in (True, False):
        with pytest.raises(ModuleFailed, match=rf"nothing was changed: {table} '{name}'") as caught:
            lay_out(nb_server, check=check, nodes=NODES, gateways=[GATEWAY])
        said.append(caught.value.result["msg"])
    assert said[0] == said[1]
    assert nb_server.dump() == before


def test_check_mode_warns_of_a_database_without_a_server(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What is in it is not known, so nothing can be said about names that are taken."""
    from ansible_collections.ovn_k8s.cluster.plugins.modules import ovn_k8s_topology  # noqa: PLC0415

    file = tmp_path / "ovnnb_db.db"
    monkeypatch.setattr(ovn_k8s_topology, "NORTHBOUND", replace(ovn_k8s_topology.NORTHBOUND, file=str(file)))
    options = {"master": "master", "nodes": NODES, "remote": f"unix:{tmp_path}/nb.sock", "assume_empty": True}

    def warnings() -> str:
        """What Ansible would show; it prints it itself when another test of this process has loaded its controller."""
        result = run_module("ovn_k8s_topology", check=True, **options)
        return f"{result.get('warnings', '')}{capsys.readouterr().err}"

    assert str(file) not in warnings()
    file.touch()
    assert str(file) in warnings()
