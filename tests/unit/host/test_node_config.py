# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
from __future__ import annotations

from ipaddress import IPv4Network
from pathlib import Path
from typing import Any

import pytest

from ovn_k8s.host import subnet_record
from ovn_k8s.host.bridges import HYBRID_OVERLAY_OWNER, is_ours
from ovn_k8s.host.config import ConfigError, load, parse

DOCUMENT: dict[str, Any] = {
    "node_name": "linux1",
    "cluster_cidr": "10.244.0.0/16",
    "service_cidr": "10.96.0.0/16",
    "node_subnet": "10.244.1.0/24",
    "mtu": 1400,
    "datapath_type": "netdev",
    "underlay": {"bridge": "br-phy", "interface": "eth0", "address": "172.30.0.12/24"},
    "gateway": {"interface": "ext0"},
    "southbound": {"remote": "ssl:172.30.0.11:6642", "private_key": "k", "certificate": "c", "ca_certificate": "a"},
}


def test_everything_that_follows_from_the_file() -> None:
    config = parse(DOCUMENT)
    assert str(config.router_address) == "10.244.1.1"
    assert str(config.management_address) == "10.244.1.2/24"
    assert config.management_mac == "0a:58:0a:f4:01:02"
    assert (config.management_port, config.management_interface) == ("k8s-linux1", "k8s-linux1")
    assert config.gateway_port == "ext0_linux1"
    assert config.southbound and config.southbound.ca_certificate == "a"


def test_interface_names_have_at_most_15_characters() -> None:
    config = parse({**DOCUMENT, "node_name": "a-rather-long-node-name"})
    assert config.management_interface == "k8s-a-rather-lo"
    assert config.management_port == "k8s-a-rather-long-node-name"


def test_optional_sections() -> None:
    config = parse({key: value for key, value in DOCUMENT.items() if not isinstance(value, dict)})
    assert (config.underlay, config.gateway_port, config.southbound) == (None, "", None)
    assert config.ovs_remote == "unix:/run/openvswitch/db.sock"


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"node_name": ""}, "node_name"),
        ({"cluster_cidr": "10.244.0.0"}, "cluster_cidr"),
        ({"service_cidr": "10.96.0.1/16"}, "service_cidr"),
        ({"node_subnet": "10.1.0.0/24"}, "node_subnet"),
        ({"node_ip": "172.30.0.12/24"}, "node_ip"),
        ({"mtu": "1400"}, "mtu"),
        ({"mtu": 100}, "mtu"),
        ({"datapath_type": "dpdk"}, "datapath_type"),
        ({"underlay": "eth0"}, "underlay"),
        ({"underlay": {"bridge": "br-phy", "interface": "eth0"}}, "underlay.address"),
        ({"underlay": {"bridge": "eth0", "interface": "eth0", "address": "1.2.3.4/24"}}, "underlay.bridge"),
        ({"gateway": {}}, "gateway.interface"),
        ({"southbound": {"remote": "ssl:1.2.3.4:6642"}}, "southbound.private_key"),
    ],
)
def test_impossible_values_are_named(change: dict[str, Any], named: str) -> None:
    with pytest.raises(ConfigError, match=named):
        parse({**DOCUMENT, **change})


def test_files(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="No such file"):
        load(tmp_path / "absent.toml")
    path = tmp_path / "node.toml"
    path.write_text("node_name = ")
    with pytest.raises(ConfigError, match="not TOML"):
        load(path)


def test_a_subnet_that_the_file_does_not_say_is_the_recorded_one(tmp_path: Path) -> None:
    path, record = tmp_path / "node.toml", tmp_path / "node-subnet"
    text = 'node_name = "linux1"\ncluster_cidr = "10.244.0.0/16"\nservice_cidr = "10.96.0.0/16"\n'
    path.write_text(text)
    config = load(path, record)
    assert (config.node_subnet, config.subnet_fixed) == (None, False)
    with pytest.raises(ConfigError, match="linux1 has no subnet yet"):
        _ = config.management_address
    subnet_record.write(record, IPv4Network("10.244.7.0/24"))
    assert str(load(path, record).management_address) == "10.244.7.2/24"
    record.write_text("10.9.7.0/24\n")
    with pytest.raises(ConfigError, match=r"node-subnet: 10\.9\.7\.0/24 lies outside"):
        load(path, record)
    record.write_text("?\n")
    with pytest.raises(ConfigError, match="remove it"):
        load(path, record)
    path.write_text(text + 'node_subnet = "10.244.1.0/24"\n')
    assert str(load(path, record).subnet) == "10.244.1.0/24"


def test_what_the_hybrid_overlay_made_goes_with_the_nodes_place() -> None:
    config = parse(DOCUMENT)
    assert is_ours(config, HYBRID_OVERLAY_OWNER)
    assert not is_ours(config, "somebody")
