# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""Modules that read the southbound database of a real OVN, and the simulator."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from module_runner import ModuleFailed, run_module
from ovsdb_servers import Server
from southbound_rig import SouthboundRig, absent, eventually
from test_examples import examples


@pytest.fixture
def rig(new_server: Callable[..., Server]) -> Iterator[SouthboundRig]:
    if reason := absent():
        pytest.skip(reason)
    made = SouthboundRig(new_server)
    yield made
    made.close()


def web_and_database(rig: SouthboundRig) -> None:
    """A switch with two ports, and nothing but the database's port for the database."""
    rig.nbctl("ls-add", "tier")
    for name, last in (("web", 2), ("database", 3)):
        rig.nbctl("lsp-add", "tier", name, "--", "lsp-set-addresses", name, f"0a:58:0a:00:00:0{last} 10.0.0.{last}")
    rig.nbctl("acl-add", "tier", "to-lport", "2000", 'outport == "database" && tcp.dst == 22', "drop")


def test_what_is_up_where(rig: SouthboundRig) -> None:
    web_and_database(rig)
    rig.chassis("linux1", ovn_encap_ip="192.0.2.12", ovn_bridge_mappings="physnet:br-ex,other:br-other")
    rig.chassis("gw", ovn_encap_ip="192.0.2.14", ovn_cms_options="enable-chassis-as-gw,zone=a")
    before = rig.southbound.dump()
    read = run_module("ovn_sb_info", remote=rig.southbound.remote)
    gateway, linux = read["chassis"]
    assert (linux["name"], linux["hostname"], linux["gateway"]) == ("linux1", "linux1.example", False)
    assert linux["bridge_mappings"] == {"physnet": "br-ex", "other": "br-other"}
    assert [(item["type"], item["ip"]) for item in linux["encapsulations"]] == [("geneve", "192.0.2.12")]
    assert (gateway["gateway"], gateway["cms_options"]) == (True, ["enable-chassis-as-gw", "zone=a"])
    ports = {port["name"]: port for port in read["ports"]}
    assert (ports["web"]["datapath"], ports["web"]["chassis"], ports["web"]["up"]) == ("tier", "", False)
    assert ports["web"]["addresses"] == ["0a:58:0a:00:00:02 10.0.0.2"]
    assert read["changed"] is False
    assert rig.southbound.dump() == before

    only = run_module("ovn_sb_info", remote=rig.southbound.remote, sections=["chassis"], query="chassis[?gateway].name")
    assert only["result"] == ["gw"]
    assert "ports" not in only
    with pytest.raises(ModuleFailed, match="is no JMESPath expression"):
        run_module("ovn_sb_info", remote=rig.southbound.remote, query="[[")


def packet(port: int) -> dict[str, str]:
    ethernet = 'inport == "web" && eth.src == 0a:58:0a:00:00:02 && eth.dst == 0a:58:0a:00:00:03'
    return {"packet": f"{ethernet} && ip4.src == 10.0.0.2 && ip4.dst == 10.0.0.3 && ip.ttl == 64 && tcp.dst == {port}"}


def test_a_packet(rig: SouthboundRig) -> None:
    web_and_database(rig)
    options = {"remote": rig.southbound.remote}
    arrives = run_module("ovn_trace", check=True, **options, **packet(5432))
    assert arrives["outputs"] == [{"port": "database", "type": ""}]
    assert arrives["dropped"] is False
    first, last = arrives["pipelines"]
    assert (first["pipeline"], first["datapath"], first["inport"]) == ("ingress", "tier", "web")
    assert (last["pipeline"], last["outport"]) == ("egress", "database")
    assert 'outport = "database"' in [action for step in first["steps"] for action in step["actions"]]
    assert all(isinstance(step["priority"], int) for step in first["steps"])

    refused = run_module("ovn_trace", datapath="tier", **options, **packet(22))
    assert (refused["dropped"], refused["outputs"]) == (True, [])
    assert "tcp.dst == 22" in refused["pipelines"][-1]["steps"][-1]["match"]

    for bad, message in (
        ({"packet": 'inport == "nobody"'}, "ovn-trace cannot follow"),
        ({"packet": "eth.nothing == 1"}, "ovn-trace cannot follow"),
        ({"datapath": "nowhere", **packet(1)}, 'no datapath "nowhere"|nowhere'),
        ({"remote": "unix:/nonexistent.sock", **packet(1)}, "cannot use OVN_Southbound"),
    ):
        with pytest.raises(ModuleFailed, match=message):
            run_module("ovn_trace", **{**options, **bad})


def test_a_connection_that_is_known(rig: SouthboundRig) -> None:
    web_and_database(rig)
    rig.nbctl("acl-add", "tier", "to-lport", "1000", 'outport == "database"', "allow-related")
    options = {"remote": rig.southbound.remote, **packet(5432)}
    default, new = (run_module("ovn_trace", **options, conntrack=states) for states in ([], ["trk,new", "trk,new"]))
    assert "default (use --ct to customize)" in default["text"]
    assert "default (use --ct to customize)" not in new["text"]
    with pytest.raises(ModuleFailed, match="ovn-trace cannot follow"):
        run_module("ovn_trace", **options, conntrack=["never"])


def test_the_examples_of_the_simulator(rig: SouthboundRig) -> None:
    web_and_database(rig)
    task = examples("ovn_trace")[0]
    eventually(lambda: run_module("ovn_sb_info", remote=rig.southbound.remote)["ports"], "ports")
    result: dict[str, Any] = run_module("ovn_trace", remote=rig.southbound.remote, **task["ovn_k8s.cluster.ovn_trace"])
    assert [output["port"] for output in result["outputs"]] == ["database"]
