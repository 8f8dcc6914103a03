# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""Every rule about inventories, one line each: what is changed, and which words the message must have."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
import yaml
from ansible_collections.ovn_k8s.cluster.plugins.modules import validate_inventory
from ansible_collections.ovn_k8s.cluster.plugins.plugin_utils.inventory_model import model, read_hosts
from ansible_collections.ovn_k8s.cluster.plugins.plugin_utils.inventory_rules import problems as all_problems

GROUPS = {"masters": ["master"], "linux_workers": ["linux1", "linux2"], "gateways": ["gw"], "windows_workers": []}
HOSTS: dict[str, dict[str, Any]] = {
    "master": {"ansible_host": "172.30.0.11"},
    "linux1": {"ansible_host": "172.30.0.12"},
    "linux2": {"ansible_host": "172.30.0.13"},
    "gw": {
        "ansible_host": "172.30.0.14",
        "ovn_k8s_gateway_interface": "ext0",
        "ovn_k8s_gateway_address": "192.0.2.2/24",
        "ovn_k8s_gateway_nexthop": "192.0.2.1",
    },
}


def inventory(
    everywhere: dict[str, Any] | None = None,
    hosts: dict[str, dict[str, Any]] | None = None,
    groups: dict[str, list[str]] | None = None,
) -> list[Any]:
    merged = {name: {**(everywhere or {}), **own, **(hosts or {}).get(name, {})} for name, own in HOSTS.items()}

    def variable(host: str, name: str) -> tuple[bool, Any]:
        value = merged[host].get(name)
        if isinstance(value, ValueError):
            raise value
        return name in merged[host], value

    return read_hosts({**GROUPS, **(groups or {})}, variable)


def problems(hosts: list[Any]) -> list[str]:
    return all_problems(hosts, lambda path: path == "/there")


def test_a_sound_inventory_has_no_problems() -> None:
    assert problems(inventory()) == []
    theirs = {"kubernetes_managed": False, "master_watcher_kubeconfig": "/there"}
    assert problems(inventory(everywhere=theirs)) == []


def test_the_model_has_what_the_roles_use() -> None:
    hosts = inventory(hosts={"linux1": {"ovn_k8s_node_subnet": "10.244.9.0/24"}})

    def outside(host: str, interfaces: Sequence[str]) -> dict[str, str]:
        return {"mac": f"mac of {interfaces[0]} on {host}", "address": "198.51.100.9/24", "nexthop": "198.51.100.1"}

    made = model(hosts, ["linux1", "gw"], outside)
    assert made.keys() == yaml.safe_load(validate_inventory.RETURN).keys()
    assert made["first_master"] == "master" and made["southbound_remote"] == "ssl:172.30.0.11:6642"
    assert made["linux"] == ["master", "linux1", "linux2", "gw"] and made["workers"] == ["linux1", "linux2"]
    assert made["topology"]["master"] == "master"
    assert made["topology"]["nodes"] == [
        {"name": "linux1", "node_ip": "172.30.0.12", "subnet": "10.244.9.0/24"},
        {"name": "gw", "node_ip": "172.30.0.14"},
    ]
    assert model(hosts, ["gw"], outside)["topology"]["reserved"] == {"linux1": "10.244.9.0/24"}
    assert made["topology"]["gateways"] == [
        {
            "name": "gw",
            "chassis": "gw",
            "interface": "ext0",
            "address": "192.0.2.2/24",
            "nexthop": "192.0.2.1",
            "mac": "mac of ext0 on gw",
        }
    ]


def test_a_shared_interface_is_a_bridge_with_the_address_that_it_has() -> None:
    shared = {"ovn_k8s_gateway_shared": True, "ovn_k8s_gateway_address": "", "ovn_k8s_gateway_nexthop": ""}
    hosts = inventory(hosts={"gw": shared})
    assert problems(hosts) == []
    asked: list[tuple[str, ...]] = []

    def outside(host: str, interfaces: Sequence[str]) -> dict[str, str]:
        asked.append(tuple(interfaces))
        return {"mac": "02:00:00:00:02:0e", "address": "198.51.100.9/32", "nexthop": "198.51.100.1"}

    (gateway,) = model(hosts, ["gw"], outside)["topology"]["gateways"]
    assert asked == [("brext0", "ext0")]
    assert (gateway["interface"], gateway["address"], gateway["nexthop"], gateway["mac"]) == (
        "brext0", "198.51.100.9/32", "198.51.100.1", "02:00:00:00:02:0e"
    )  # fmt: skip


CLUSTER_RULES = [
    (
        {"ovn_k8s_cluster_cidr": "10.244.0.1/16"},
        ["ovn_k8s_cluster_cidr = '10.244.0.1/16'", "host bits", "10.244.0.0/16"],
    ),
    ({"ovn_k8s_cluster_cidr": 10}, ["ovn_k8s_cluster_cidr = 10", "not a network"]),
    (
        {"ovn_k8s_service_cidr": "10.244.8.0/24"},
        ["ovn_k8s_cluster_cidr = '10.244.0.0/16' overlaps ovn_k8s_service_cidr"],
    ),
    ({"ovn_k8s_join_cidr": "10.96.1.0/24"}, ["ovn_k8s_service_cidr", "overlaps ovn_k8s_join_cidr"]),
    ({"ovn_k8s_cluster_cidr": "10.244.0.0/23"}, ["too small", "2 node subnets of /24", "4 nodes"]),
    ({"ovn_k8s_node_prefix": 30}, ["ovn_k8s_node_prefix = 30", "no room for pods"]),
    ({"ovn_k8s_node_prefix": "24"}, ["ovn_k8s_node_prefix = '24'", "whole number"]),
    ({"ovn_k8s_node_prefix": True}, ["ovn_k8s_node_prefix = True"]),
    ({"ovn_k8s_service_cidr": "10.96.0.0/30"}, ["ovn_k8s_service_cidr = '10.96.0.0/30'", "too small"]),
    ({"ovn_k8s_service_cidr": "11.0.0.0/8"}, ["too large for services"]),
    ({"ovn_k8s_join_cidr": "100.64.0.0/30"}, ["ovn_k8s_join_cidr = '100.64.0.0/30'", "too small", "1 gateway"]),
    ({"ovn_k8s_cluster_name": "My Cluster"}, ["ovn_k8s_cluster_name = 'My Cluster'", "RFC 1123"]),
    ({"ovn_k8s_encap_type": "gre"}, ["ovn_k8s_encap_type = 'gre'", "geneve"]),
    ({"kubernetes_managed": "false"}, ["kubernetes_managed = 'false'", "no boolean", "-e"]),
    ({"ovn_k8s_datapath_type": "netdev"}, ["host linux1 = 'netdev' needs ovn_k8s_underlay_interface"]),
    ({"ovn_k8s_datapath_type": "dpdk"}, ["ovn_k8s_datapath_type of host gw = 'dpdk'", "netdev"]),
    (
        {"ovn_k8s_cluster_cidr": "172.30.0.0/16"},
        ["ovn_k8s_node_ip of host linux2 = '172.30.0.13' lies in ovn_k8s_cluster_cidr"],
    ),
    ({"kubernetes_managed": False}, ["master_watcher_kubeconfig of host master = ''", "kubernetes_managed is false"]),
    (
        {"kubernetes_managed": False, "master_watcher_kubeconfig": "/gone"},
        ["master_watcher_kubeconfig of host master = '/gone' is no file"],
    ),
    ({"ovn_k8s_cluster_cidr": "10.244.0.0/16,fd00::/56"}, ["dual-stack clusters are not supported"]),
    ({"ovn_k8s_service_cidr": "fd00:1::/112"}, ["IPv6-only", "give one IPv4 network"]),
    ({"ovn_k8s_mtu": "big"}, ["ovn_k8s_mtu of host gw = 'big'"]),
]

HOST_RULES = [
    ("linux1", {"ovn_k8s_node_name": "Linux_1"}, ["ovn_k8s_node_name of host linux1 = 'Linux_1'", "RFC 1123"]),
    ("linux1", {"ovn_k8s_node_name": "n" * 53}, ["longer than 52"]),
    (
        "linux1",
        {"ovn_k8s_node_name": "linux2"},
        ["ovn_k8s_node_name = 'linux2' is that of the hosts linux1 and linux2"],
    ),
    (
        "linux1",
        {"ansible_host": "172.30.0.13"},
        ["ovn_k8s_node_ip = '172.30.0.13'", "linux1 and linux2", "encapsulation"],
    ),
    (
        "linux1",
        {"ansible_host": "linux1.example.com"},
        ["'linux1.example.com'", "not an IPv4 address", "set ovn_k8s_node_ip"],
    ),
    ("linux1", {"ovn_k8s_node_subnet": "10.1.0.0/24"}, ["host linux1 = '10.1.0.0/24'", "outside ovn_k8s_cluster_cidr"]),
    ("linux1", {"ovn_k8s_node_subnet": "10.244.0.0/30"}, ["too small"]),
    ("linux1", {"ovn_k8s_node_subnet": "x"}, ["ovn_k8s_node_subnet of host linux1 = 'x'"]),
    ("linux1", {"ovn_k8s_cluster_cidr": "10.200.0.0/16"}, ["ovn_k8s_cluster_cidr differs between hosts", "on linux1"]),
    ("linux1", {"ovn_k8s_underlay_interface": "a-very-long-name"}, ["ovn_k8s_underlay_interface of host linux1", "15"]),
    ("linux1", {"ovn_k8s_underlay_interface": "br-phy"}, ["also the underlay interface"]),
    ("linux1", {"ovn_k8s_underlay_interface": "eth0", "ovn_k8s_underlay_prefix": 33}, ["ovn_k8s_underlay_prefix"]),
    (
        "linux1",
        {"ovn_k8s_node_ip": ValueError("no facts")},
        ["ovn_k8s_node_ip of host linux1 cannot be worked out: no facts"],
    ),
    ("gw", {"ovn_k8s_gateway_interface": ""}, ["ovn_k8s_gateway_interface of host gw is not set", "gateways"]),
    ("gw", {"ovn_k8s_underlay_interface": "ext0"}, ["also its ovn_k8s_underlay_interface"]),
    ("gw", {"ovn_k8s_gateway_address": "192.0.2.2"}, ["ovn_k8s_gateway_address of host gw", "no prefix length"]),
    ("gw", {"ovn_k8s_gateway_address": "192.0.2.0/24"}, ["network's own"]),
    (
        "gw",
        {"ovn_k8s_gateway_address": "10.244.3.2/24", "ovn_k8s_gateway_nexthop": "10.244.3.1"},
        ["overlaps ovn_k8s_cluster_cidr"],
    ),
    ("gw", {"ovn_k8s_gateway_nexthop": "198.51.100.1"}, ["not in the network 192.0.2.0/24"]),
    ("gw", {"ovn_k8s_gateway_nexthop": "192.0.2.2"}, ["own address"]),
    ("gw", {"ovn_k8s_gateway_mac": "02:00"}, ["no MAC address"]),
    ("gw", {"ovn_k8s_gateway_shared": "yes"}, ["ovn_k8s_gateway_shared of host gw = 'yes'", "no truth value"]),
    (
        "gw",
        {"ovn_k8s_gateway_shared": True, "ovn_k8s_gateway_nexthop": ""},
        ["ovn_k8s_gateway_address of host gw = '192.0.2.2/24'", "leave it out"],
    ),
    (
        "gw",
        {
            "ovn_k8s_gateway_shared": True,
            "ovn_k8s_gateway_address": "",
            "ovn_k8s_gateway_nexthop": "",
            "ovn_k8s_gateway_interface": "enp129s0f1np14",
        },
        ["ovn_k8s_gateway_bridge of host gw = 'brenp129s0f1np14'", "name a shorter one"],
    ),
    (
        "linux1",
        {"ovn_k8s_underlay_interface": "eth0", "ovn_k8s_underlay_bridge": "br-int"},
        ["ovn_k8s_underlay_bridge of host linux1 = 'br-int'", "name it br-phy"],
    ),
    *(
        (
            "gw",
            {
                "ovn_k8s_gateway_shared": True,
                "ovn_k8s_gateway_address": "",
                "ovn_k8s_gateway_nexthop": "",
                "ovn_k8s_underlay_interface": "eth0",
                "ovn_k8s_gateway_bridge": bridge,
            },
            [f"ovn_k8s_gateway_bridge of host gw = '{bridge}'", "of another bridge or interface", "leave it empty"],
        )
        for bridge in ("br-int", "br-phy", "ext0", "eth0")
    ),
]


@pytest.mark.parametrize(("everywhere", "words"), CLUSTER_RULES)
def test_cluster_rules(everywhere: dict[str, Any], words: list[str]) -> None:
    found = "\n".join(problems(inventory(everywhere=everywhere)))
    for word in words:
        assert word in found


@pytest.mark.parametrize(("host", "settings", "words"), HOST_RULES)
def test_host_rules(host: str, settings: dict[str, Any], words: list[str]) -> None:
    found = problems(inventory(hosts={host: settings}))
    assert len(found) <= 2, found
    for word in words:
        assert word in "\n".join(found)


def test_groups() -> None:
    assert "group masters is empty" in problems(inventory(groups={"masters": []}))[0]
    assert "2 hosts (master, gw)" in problems(inventory(groups={"masters": ["master", "gw"], "gateways": []}))[0]
    three = inventory(groups={"masters": ["master", "linux1", "linux2"], "linux_workers": []})
    assert problems(three) == []
    both = problems(inventory(groups={"linux_workers": ["linux1", "linux2", "gw"]}))
    assert both == [
        "host gw is in the groups linux_workers and gateways: a machine has one part in the cluster; "
        "leave it in one of them"
    ]
    assert problems(inventory(groups={group: [] for group in GROUPS})) != []


def test_subnets_of_two_hosts_that_overlap() -> None:
    found = problems(
        inventory(
            hosts={
                "linux1": {"ovn_k8s_node_subnet": "10.244.4.0/23"},
                "linux2": {"ovn_k8s_node_subnet": "10.244.5.0/24"},
            }
        )
    )
    assert len(found) == 1 and "host linux1 = '10.244.4.0/23' overlaps that of host linux2" in found[0]


def test_all_problems_are_told_at_once() -> None:
    found = problems(
        inventory(everywhere={"ovn_k8s_cluster_cidr": "10.96.0.1/16", "ovn_k8s_mtu": -1, "ovn_k8s_node_prefix": 31})
    )
    assert len(found) >= 6


WINDOWS = {"win1": {"ansible_host": "172.30.0.15", "ansible_connection": "winrm"}}


def with_windows(**settings: Any) -> list[str]:
    HOSTS["win1"] = WINDOWS["win1"] | settings
    try:
        hosts = inventory(groups={"windows_workers": ["win1"]})
        made = model(hosts, ["win1"], lambda host, interface: "")
        assert made["windows"] == ["win1"] and made["workers"] == ["linux1", "linux2", "win1"]
        assert made["hosts"]["win1"]["datapath"] == settings.get("windows_datapath", "hybrid_overlay")
        overlay = settings.get("windows_datapath", "hybrid_overlay") == "hybrid_overlay"
        node = {"name": "win1", "node_ip": "172.30.0.15", "hybrid_overlay": overlay}
        assert (made["topology"]["nodes"], made["topology"]["windows_nodes"]) == ([], [node])
        return problems(hosts)
    finally:
        del HOSTS["win1"]


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"windows_datapath": "geneve"}, "use one of hybrid_overlay, ovs"),
        ({"windows_runtime": "podman"}, "use one of containerd, docker"),
        ({"ansible_connection": "local"}, "no way to a Windows machine"),
        ({"ansible_connection": "ssh"}, "ansible_shell_type of host win1 = 'sh'"),
        ({"ansible_become": True}, "there is no sudo on Windows"),
        ({"ovn_k8s_mtu": 70_000}, "ovn_k8s_mtu of host win1"),
    ],
)
def test_windows_workers_that_cannot_be(settings: dict[str, Any], words: str) -> None:
    (found,) = with_windows(**settings)
    assert words in found


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"ansible_connection": "ansible.builtin.psrp", "windows_datapath": "ovs"},
        {"windows_datapath": "ovs", "windows_runtime": "docker"},
        {"ansible_connection": "ssh", "ansible_shell_type": "powershell", "windows_runtime": "docker"},
        {"ansible_become": True, "ansible_become_method": "runas"},
    ],
)
def test_windows_workers_that_can_be(settings: dict[str, Any]) -> None:
    assert with_windows(**settings) == []
