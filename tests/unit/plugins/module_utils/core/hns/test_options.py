# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""Wanted objects from options: every option, and what is refused with its place (evidence: unit)."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.ovn_k8s.cluster.plugins.module_utils.core.hns.errors import InvalidObject
from ansible_collections.ovn_k8s.cluster.plugins.module_utils.core.hns.objects import (
    Address,
    Dns,
    Network,
    Policy,
    PortMapping,
    RemoteSubnet,
    Route,
    Subnet,
    view,
)
from ansible_collections.ovn_k8s.cluster.plugins.module_utils.core.hns.options import read_wanted

GUID = "583CC151-73EC-4A6A-8B47-578297AD7623"


def test_every_option_of_a_network() -> None:
    options: dict[str, Any] = {
        "name": "pods",
        "type": "Overlay",
        "adapter": "Ethernet",
        "subnets": [
            {
                "prefix": "10.244.5.0/24",
                "gateway": "10.244.5.1",
                "vsid": 4097,
                "routes": [{"destination": "192.0.2.0/24", "next_hop": "10.244.5.9", "metric": 5}],
            }
        ],
        "source_mac": "00:15:5d:00:00:01",
        "provider_address": "192.0.2.21",
        "dns": {"domain": "cluster.local", "search": ["a", "b"], "servers": ["10.96.0.10"], "options": ["ndots:5"]},
        "automatic_dns": True,
        "vxlan_port": 4789,
        "host_route": True,
        "host_port": False,
        "persistent": False,
        "remote_subnets": [
            {
                "prefix": "10.244.1.0/24",
                "isolation_id": 4097,
                "provider_address": "192.0.2.12",
                "router_mac": "0a:58:0a:f4:01:03",
            }
        ],
        "extensions": {GUID: True},
        "policies": [{"type": "SetPolicy", "settings": {"Name": "web", "Id": "1"}}],
    }
    (network,) = read_wanted({"networks": [options]}).networks
    assert network == Network(
        "pods",
        "Overlay",
        "Ethernet",
        (Subnet("10.244.5.0/24", "10.244.5.1", 4097, 0, (Route("192.0.2.0/24", "10.244.5.9", 5),)),),
        "00-15-5D-00-00-01",
        "192.0.2.21",
        Dns("cluster.local", ("a", "b"), ("10.96.0.10",), ("ndots:5",)),
        True,
        4789,
        True,
        False,
        False,
        (RemoteSubnet("10.244.1.0/24", 4097, "192.0.2.12", "0A-58-0A-F4-01-03"),),
        ((GUID.lower(), True),),
        (Policy.of("SetPolicy", {"Id": "1", "Name": "web"}),),
    )
    shown = view(network)
    assert shown["extensions"] == {GUID.lower(): True}
    assert shown["policies"] == options["policies"]


def test_an_option_that_is_absent_or_null_is_not_managed() -> None:
    (network,) = read_wanted({"networks": [{"name": "n", "type": None}]}).networks
    assert network == Network("n")


def test_endpoints_and_load_balancers() -> None:
    wanted = read_wanted(
        {
            "endpoints": [
                {"name": "a", "network": "pods", "addresses": ["10.244.5.3/24", {"address": "10.244.5.4"}]},
                {"name": "b", "state": "absent"},
            ],
            "load_balancers": [
                {"vips": ["10.96.0.20"], "ports": [{"protocol": "tcp", "external_port": 80}], "endpoints": ["a"]},
                {"ports": [{"protocol": "udp", "external_port": 30053, "internal_port": 53, "distribution": "client"}]},
            ],
        }
    )
    assert wanted.endpoints[0].addresses == (Address("10.244.5.3", 24), Address("10.244.5.4"))
    assert wanted.absent_endpoints == ("b",)
    assert [balancer.name for balancer in wanted.load_balancers] == ["10.96.0.20 6/80", "17/30053"]
    assert wanted.load_balancers[1].ports == (PortMapping(17, 30053, 53, 2),)


@pytest.mark.parametrize(
    ("document", "complaint"),
    [
        ({"pods": []}, "unknown: pods; there are networks"),
        ({"networks": {"name": "x"}}, "networks is .* not a list"),
        ({"networks": ["x"]}, r"networks\[0\] is 'x', not an object"),
        ({"networks": [{}]}, r"networks\[0\].name is None"),
        ({"networks": [{"name": "n", "colour": 1}]}, "network 'n': unknown option colour; there are name, type"),
        ({"networks": [{"name": "n", "type": "Bridge"}]}, "network 'n': type is 'Bridge', not one of NAT"),
        ({"networks": [{"name": "n"}, {"name": "n"}]}, "network 'n' is named twice"),
        ({"networks": [{"name": "n", "state": "gone"}]}, "state is 'gone', not present or absent"),
        ({"networks": [{"name": "n", "subnets": [{"gateway": "10.0.0.1"}]}]}, r"subnets\[0\] needs prefix"),
        ({"networks": [{"name": "n", "subnets": [{"prefix": "10.0.0.0"}]}]}, "it has no prefix length"),
        ({"networks": [{"name": "n", "subnets": [{"prefix": "10.0.0.1/24"}]}]}, "has host bits set"),
        (
            {"networks": [{"name": "n", "subnets": [{"prefix": "10.0.0.0/24", "gateway": "10.0.1.1"}]}]},
            r"subnets\[0\].gateway is '10.0.1.1', not an address in 10.0.0.0/24",
        ),
        (
            {"networks": [{"name": "n", "type": "Overlay", "subnets": [{"prefix": "10.0.0.0/24", "vsid": 5}]}]},
            r"subnets\[0\].vsid is 5, not 4096 or more",
        ),
        (
            {"networks": [{"name": "n", "type": "L2Bridge", "host_route": True}]},
            "host_route is for networks of type Ov",
        ),
        ({"networks": [{"name": "n", "subnets": [{"prefix": "10.0.0.0/24"}] * 2}]}, "10.0.0.0/24 is there twice"),
        ({"networks": [{"name": "n", "vxlan_port": 70000}]}, "vxlan_port is 70000, not a number from 1 to 65535"),
        ({"networks": [{"name": "n", "host_port": "yes"}]}, "host_port is 'yes', not true or false"),
        ({"networks": [{"name": "n", "extensions": {"ovs": True}}]}, "'ovs', not a GUID"),
        ({"networks": [{"name": "n", "remote_subnets": [{"prefix": "10.0.0.0/24"}]}]}, "needs isolation_id"),
        ({"endpoints": [{"name": "e", "mac": "00:15"}]}, "endpoint 'e': mac is '00:15', not a MAC address"),
        ({"endpoints": [{"name": "e", "addresses": "10.0.0.1"}]}, "addresses is '10.0.0.1', not a list"),
        ({"endpoints": [{"name": "e", "addresses": ["10.0.0.1/33"]}]}, "'33', not a number from 1 to 32"),
        ({"endpoints": [{"name": "e", "namespace": "blue"}]}, "namespace is 'blue', not a GUID"),
        ({"load_balancers": [{"vips": ["10.0.0.1"]}]}, r"load balancers\[0\] needs ports"),
        ({"load_balancers": [{"ports": []}]}, "not at least one port"),
        ({"load_balancers": [{"ports": [{"protocol": "http", "external_port": 1}]}]}, "protocol is 'http'"),
        ({"load_balancers": [{"ports": [{"protocol": True, "external_port": 1}]}]}, "protocol is True"),
    ],
)
def test_what_is_refused(document: dict[str, Any], complaint: str) -> None:
    with pytest.raises(InvalidObject, match=complaint):
        read_wanted(document)
