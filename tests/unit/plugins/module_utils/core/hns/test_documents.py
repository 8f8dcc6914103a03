# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""JSON of both interfaces: read, written, and refused when it is malformed (evidence: unit)."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

import pytest
from ansible_collections.ovn_k8s.cluster.plugins.module_utils.core.hns import hcn, v1
from ansible_collections.ovn_k8s.cluster.plugins.module_utils.core.hns.errors import InvalidObject
from ansible_collections.ovn_k8s.cluster.plugins.module_utils.core.hns.objects import (
    Address,
    Dns,
    Endpoint,
    Namespace,
    Network,
    Policy,
    RemoteSubnet,
    Route,
    Subnet,
)
from ansible_collections.ovn_k8s.cluster.tests.unit.plugins.module_utils.core.hns.hns_objects import (
    BALANCER,
    ENDPOINT_ID,
    NAMESPACE_ID,
    NETWORK_ID,
    OVERLAY,
    POD,
)


def test_an_overlay_network_is_read() -> None:
    network = hcn.read_network(OVERLAY)
    assert (network.id, network.name, network.type) == (NETWORK_ID, "pods", "Overlay")
    assert network.adapter == "Ethernet"
    assert network.subnets == (Subnet("10.244.5.0/24", "10.244.5.1", vsid=4097),)
    assert network.dns == Dns("cluster.local", servers=("10.96.0.10",))
    assert network.remote_subnets == (RemoteSubnet("10.244.1.0/24", 4097, "192.0.2.12", "0A-58-0A-F4-01-03"),)
    assert network.host_route is True
    assert (network.persistent, network.host_port) == (False, True)
    assert network.router_mac == "00-15-5D-4F-01-02"
    assert [policy.type for policy in network.policies or ()] == ["InterfaceConstraint"]


def test_a_network_without_type_is_of_type_nat() -> None:
    assert hcn.read_network({"ID": NETWORK_ID, "Name": "nat"}).type == "NAT"


def test_what_is_written_is_read_back() -> None:
    network = hcn.read_network(OVERLAY)
    written = hcn.write_network(replace(network, router_mac=""))
    assert written["Ipams"] == OVERLAY["Ipams"]
    assert written["Flags"] == 8
    again = hcn.read_network(written)
    assert replace(again, policies=network.policies, router_mac=network.router_mac) == network


def test_a_wanted_network_says_no_more_than_is_managed() -> None:
    written = hcn.write_network(Network("n", "Transparent", adapter="Ethernet 2"))
    assert written == {
        "Name": "n",
        "Type": "Transparent",
        "Policies": [{"Type": "NetAdapterName", "Settings": {"NetworkAdapterName": "Ethernet 2"}}],
        "SchemaVersion": {"Major": 2, "Minor": 0},
    }


def test_an_endpoint_is_read_and_written() -> None:
    endpoint = hcn.read_endpoint(POD)
    assert endpoint.addresses == (Address("10.244.5.3", 24),)
    assert (endpoint.gateway, endpoint.routes) == ("10.244.5.1", ())
    assert endpoint.namespace == NAMESPACE_ID
    written = hcn.write_endpoint(endpoint, NETWORK_ID)
    assert "HostComputeNamespace" not in written
    assert hcn.read_endpoint(written | {"HostComputeNamespace": NAMESPACE_ID}) == endpoint


def test_a_load_balancer_is_read_and_written() -> None:
    balancer = hcn.read_load_balancer(BALANCER)
    assert balancer.name == "10.96.0.20 6/80"
    assert balancer.endpoints == (ENDPOINT_ID,)
    assert balancer.dsr is True
    assert balancer.ports[0].internal is True
    written = hcn.write_load_balancer(balancer, balancer.endpoints or ())
    assert hcn.read_load_balancer(written | {"ID": balancer.id}) == balancer


def test_a_namespace_is_read() -> None:
    document = {
        "ID": NAMESPACE_ID,
        "NamespaceId": 7,
        "Type": "Guest",
        "Resources": [
            {"Type": "Endpoint", "Data": {"ID": ENDPOINT_ID.upper()}},
            {"Type": "Container", "Data": {"ID": "abc"}},
        ],
    }
    assert hcn.read_namespace(document) == Namespace(NAMESPACE_ID, "Guest", 7, (ENDPOINT_ID,), ("abc",))


def changed(document: dict[str, Any], **options: Any) -> dict[str, Any]:
    return copy.deepcopy(document) | options


@pytest.mark.parametrize(
    ("document", "complaint"),
    [
        (None, "a network of HNS"),
        ([], "a network of HNS"),
        (changed(OVERLAY, ID="pods"), r"HNS network 'pods': ID is 'pods', not a GUID"),
        (changed(OVERLAY, Ipams=7), r"Ipams is 7, not a list"),
        (changed(OVERLAY, Ipams=[{"Subnets": [{"IpAddressPrefix": "x"}]}]), r"Ipams\[0\].Subnets\[0\].IpAddressPrefix"),
        (changed(OVERLAY, Policies=[{"Settings": {}}]), r"Policies\[0\].Type is None"),
        (changed(OVERLAY, Flags="many"), r"Flags is 'many'"),
        (changed(OVERLAY, Policies=[{"Type": "DrMacAddress", "Settings": {"Address": "q"}}]), r"not a MAC address"),
    ],
)
def test_a_malformed_network_is_refused(document: Any, complaint: str) -> None:
    with pytest.raises(InvalidObject, match=complaint):
        hcn.read_network(document)


def test_v1_forms() -> None:
    network = Network(
        "ovs",
        "Transparent",
        adapter="Ethernet",
        subnets=(Subnet("10.244.5.0/24", "10.244.5.1"),),
        source_mac="00-15-5D-00-00-01",
        provider_address="192.0.2.21",
        dns=Dns("cluster.local", servers=("10.96.0.10", "10.96.0.11")),
    )
    written = v1.write_network(network)
    assert written == {
        "Name": "ovs",
        "Type": "Transparent",
        "NetworkAdapterName": "Ethernet",
        "SourceMac": "00-15-5D-00-00-01",
        "ManagementIP": "192.0.2.21",
        "DNSSuffix": "cluster.local",
        "DNSServerList": "10.96.0.10,10.96.0.11",
        "Subnets": [{"AddressPrefix": "10.244.5.0/24", "GatewayAddress": "10.244.5.1"}],
    }
    extension = "583CC151-73EC-4A6A-8B47-578297AD7623"
    read = v1.read_network(written | {"ID": NETWORK_ID, "Extensions": [{"Id": extension, "IsEnabled": True}]})
    assert read.subnets == network.subnets
    assert read.dns == network.dns
    assert read.extensions == ((extension.lower(), True),)


def test_v1_renames_policies() -> None:
    nat = Policy.of("OutBoundNAT", {"Exceptions": ["10.0.0.0/8"], "VirtualIP": "192.0.2.1"})
    route = Policy.of("SDNRoute", {"DestinationPrefix": "10.96.0.0/16", "NeedEncap": True})
    address = Policy.of("ProviderAddress", {"ProviderAddress": "192.0.2.21"})
    endpoint = Endpoint(
        "p", addresses=(Address("10.244.5.3", 24), Address("fd00::3", 64)), policies=(nat, route, address)
    )
    written = v1.write_endpoint(endpoint, NETWORK_ID)
    assert written["Policies"] == [
        {"Type": "OutBoundNAT", "ExceptionList": ["10.0.0.0/8"], "VIP": "192.0.2.1"},
        {"Type": "ROUTE", "DestinationPrefix": "10.96.0.0/16", "NeedEncap": True},
        {"Type": "PA", "PA": "192.0.2.21"},
    ]
    assert (written["IPAddress"], written["IPv6Address"], written["IPv6PrefixLength"]) == ("10.244.5.3", "fd00::3", 64)
    read = v1.read_endpoint(written | {"ID": ENDPOINT_ID})
    assert read.policies == endpoint.policies
    assert read.addresses == endpoint.addresses


@pytest.mark.parametrize(
    ("response", "complaint"),
    [
        ("", "no reply"),
        ("[]", "no reply"),
        ('{"Success": false, "Error": "Element not found."}', "HNS says Element not found"),
        ('{"Success": false}', "nothing about the cause"),
    ],
)
def test_v1_replies_that_are_no_success(response: str, complaint: str) -> None:
    with pytest.raises((v1.CallFailed, InvalidObject), match=complaint):
        v1.output(response, "GET /networks/")


def test_routes_besides_the_default_one_are_kept() -> None:
    document = changed(POD, Routes=[*POD["Routes"], {"NextHop": "10.244.5.9", "DestinationPrefix": "192.0.2.0/24"}])
    assert hcn.read_endpoint(document).routes == (Route("192.0.2.0/24", "10.244.5.9"),)
