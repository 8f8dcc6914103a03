# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""Networks of hybrid overlay from configuration and Kubernetes nodes (evidence: unit)."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path
from typing import Any

import pytest
from model_hcn import ModelHcn

from ovn_k8s.core.hybrid_overlay import ROUTER_MAC_ANNOTATION, ROUTES_ANNOTATION, SUBNET_ANNOTATION
from ovn_k8s.windows import config, hybrid_overlay
from ovn_k8s.windows.config import ConfigError
from ovn_k8s.windows.host_network import carry_out, read_inventory

TEXT = """
node_name = "win1"
node_address = "192.0.2.21"
cluster_cidr = "10.244.0.0/16"
service_cidr = "10.96.0.0/16"
node_subnet = "10.244.5.0/24"
"""


def node(name: str, subnet: str | None, address: str | None, mac: str | None) -> dict[str, Any]:
    annotations = {
        SUBNET_ANNOTATION: subnet,
        ROUTER_MAC_ANNOTATION: mac,
    }
    addresses = [{"type": "Hostname", "address": name}]
    addresses += [{"type": "InternalIP", "address": address}] if address else []
    present = {key: value for key, value in annotations.items() if value}
    return {"metadata": {"name": name, "annotations": present}, "status": {"addresses": addresses}}


NODES = [
    node("linux2", "10.244.2.0/24", "192.0.2.13", "0a:58:0a:f4:02:03"),
    node("linux1", "10.244.1.0/24", "192.0.2.12", "0a:58:0a:f4:01:03"),
    node("win1", "10.244.5.0/24", "192.0.2.21", "00:15:5d:00:00:01"),
    node("new", None, "192.0.2.30", None),
    node("half", "10.244.7.0/24", None, "0a:58:0a:f4:07:03"),
    node("bad", "10.244.8.1/24", "192.0.2.31", "0a:58:0a:f4:08:03"),
    node("worse", "10.244.9.0/24", "192.0.2.32", "mac"),
    {},
]


def test_peers_are_the_nodes_that_can_be_reached() -> None:
    found = hybrid_overlay.peers(NODES, "win1")
    assert [(peer.name, str(peer.subnet), peer.router_mac) for peer in found] == [
        ("linux1", "10.244.1.0/24", "0A-58-0A-F4-01-03"),
        ("linux2", "10.244.2.0/24", "0A-58-0A-F4-02-03"),
    ]


def test_what_is_reached_through_another_node() -> None:
    """Masters and gateways that are no nodes of Kubernetes: the watcher says it on our own node."""
    own = node("win1", "10.244.5.0/24", "192.0.2.21", "00:15:5d:00:00:01")
    text = '[{"subnet":"100.64.0.0/16","address":"192.0.2.12","router_mac":"0a:58:0a:f4:01:fe"}]'
    own["metadata"]["annotations"][ROUTES_ANNOTATION] = text
    (found,) = hybrid_overlay.peers([own], "win1")
    assert (str(found.subnet), str(found.address), found.router_mac) == (
        "100.64.0.0/16",
        "192.0.2.12",
        "0A-58-0A-F4-01-FE",
    )
    assert hybrid_overlay.peers([own], "win2")[0].name == "win1"


@pytest.mark.parametrize("text", ["{", "[3]", '[{"subnet":"x","address":"y","router_mac":"z"}]', "3"])
def test_routes_that_cannot_be_read_are_left_out(text: str) -> None:
    own = node("win1", None, "192.0.2.21", None)
    own["metadata"]["annotations"][ROUTES_ANNOTATION] = text
    assert hybrid_overlay.peers([own], "win1") == ()


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ('datapath = "ovn"', "datapath is 'ovn', none of hybrid_overlay, ovs"),
        ('datapath = "ovs"', r"\[southbound\] is missing"),
        ('runtime = "podman"', "runtime is 'podman', none of containerd, docker"),
        ("encap_overhead = -1", "encap_overhead is -1"),
        ('docker_pipe = "/var/run/docker.sock"', "not the path of a named pipe"),
        ('[southbound]\nremote = "ssl:192.0.2.11:6642"', "private_key, certificate and ca_certificate"),
        ("[openvswitch]\nremote = 3", r"\[openvswitch\] needs remote"),
    ],
)
def test_settings_that_cannot_be(tmp_path: Path, line: str, words: str) -> None:
    (tmp_path / "node.toml").write_text(f"{TEXT}{line}\n")
    with pytest.raises(ConfigError, match=words):
        config.load(tmp_path / "node.toml")


def test_networks_follow_the_cluster(tmp_path: Path) -> None:
    (tmp_path / "node.toml").write_text(TEXT)
    here = config.load(tmp_path / "node.toml")
    library = ModelHcn()

    def step(here: config.NodeConfig, nodes: list[dict[str, Any]] | None) -> list[str]:
        actual = read_inventory(library)
        peers = None if nodes is None else hybrid_overlay.peers(nodes, "win1")
        plan = hybrid_overlay.plan(here, peers, actual)
        carry_out(library, plan, actual)
        again = hybrid_overlay.plan(here, peers, read_inventory(library))
        assert not again, again.diff()
        return [f"{action.verb} {action.name[:4]}" for action in plan.actions]

    assert step(here, NODES[:1]) == ["create Base", "create OVNK"]
    assert step(here, NODES) == ["modify OVNK"]
    # While the cluster cannot be asked, nothing is torn down.
    assert step(here, None) == []
    assert step(here, NODES[1:]) == ["modify OVNK"]
    routes = next(n for n in library.model.state.networks.values() if n["Name"].startswith("OVN"))["Policies"]
    assert [p["Settings"]["DestinationPrefix"] for p in routes if p["Type"] == "RemoteSubnetRoute"] == ["10.244.1.0/24"]
    moved = replace(here, node_subnet=IPv4Network("10.244.6.0/24"))
    assert step(moved, None) == ["delete OVNK", "create OVNK"]


def test_an_hns_that_tells_little_is_no_reason_to_make_a_network_again(tmp_path: Path) -> None:
    (tmp_path / "node.toml").write_text(TEXT)
    here = config.load(tmp_path / "node.toml")
    library = ModelHcn()
    actual = read_inventory(library)
    carry_out(library, hybrid_overlay.plan(here, (), actual), actual)
    for network in library.model.state.networks.values():
        network["Policies"] = []
        network.pop("Flags", None)
    assert not hybrid_overlay.plan(here, (), read_inventory(library))


def test_configuration(tmp_path: Path) -> None:
    file = tmp_path / "node.toml"
    file.write_text(TEXT + 'adapter = "Ethernet 2"\nvni = 5000\n')
    here = config.load(file)
    assert (here.adapter, here.vni, here.gateway) == ("Ethernet 2", 5000, IPv4Address("10.244.5.1"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "the role windows_worker writes it"),
        ("node_name =", "is not TOML"),
        ('node_name = "x"', "node_address, cluster_cidr, service_cidr, node_subnet missing"),
        (TEXT + 'colour = "red"', "unknown key colour"),
        (TEXT + "vni = 7", "vni is 7"),
        (TEXT.replace('"10.244.5.0/24"', '"10.250.5.0/24"'), "is not in cluster_cidr"),
        (TEXT.replace('"10.96.0.0/16"', '"10.244.0.0/20"'), "overlaps cluster_cidr"),
        (TEXT.replace('"192.0.2.21"', '"host"'), "'host' is not an IPv4 address"),
    ],
)
def test_configuration_that_cannot_be(tmp_path: Path, text: str | None, message: str) -> None:
    file = tmp_path / "node.toml"
    if text is not None:
        file.write_text(text)
    with pytest.raises(ConfigError, match=message):
        config.load(file)
