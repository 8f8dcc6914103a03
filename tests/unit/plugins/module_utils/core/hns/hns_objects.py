# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""Documents in the exact field names of hcsshim, and inventories made of them."""

from __future__ import annotations

from typing import Any

from ansible_collections.ovn_k8s.cluster.plugins.module_utils.core.hns import hcn
from ansible_collections.ovn_k8s.cluster.plugins.module_utils.core.hns.plan import Inventory
from ansible_collections.ovn_k8s.cluster.plugins.module_utils.core.hns.versions import Version

NETWORK_ID = "11111111-1111-4111-8111-111111111111"
OTHER_NETWORK_ID = "22222222-2222-4222-8222-222222222222"
ENDPOINT_ID = "33333333-3333-4333-8333-333333333333"
OTHER_ENDPOINT_ID = "44444444-4444-4444-8444-444444444444"
NAMESPACE_ID = "55555555-5555-4555-8555-555555555555"
BALANCER_ID = "66666666-6666-4666-8666-666666666666"

OVERLAY: dict[str, Any] = {
    "ID": NETWORK_ID.upper(),
    "Name": "pods",
    "Type": "Overlay",
    "Policies": [
        {"Type": "NetAdapterName", "Settings": {"NetworkAdapterName": "Ethernet"}},
        {"Type": "DrMacAddress", "Settings": {"Address": "00-15-5D-4F-01-02"}},
        {"Type": "InterfaceConstraint", "Settings": {"InterfaceAlias": "Ethernet"}},
        {"Type": "HostRoute", "Settings": {}},
        {
            "Type": "RemoteSubnetRoute",
            "Settings": {
                "DestinationPrefix": "10.244.1.0/24",
                "IsolationId": 4097,
                "ProviderAddress": "192.0.2.12",
                "DistributedRouterMacAddress": "0A-58-0A-F4-01-03",
            },
        },
    ],
    "Dns": {"Domain": "cluster.local", "ServerList": ["10.96.0.10"]},
    "Ipams": [
        {
            "Type": "Static",
            "Subnets": [
                {
                    "IpAddressPrefix": "10.244.5.0/24",
                    "Policies": [{"Type": "VSID", "Settings": {"IsolationId": 4097}}],
                    "Routes": [{"NextHop": "10.244.5.1", "DestinationPrefix": "0.0.0.0/0"}],
                }
            ],
        }
    ],
    "Flags": 8,
    "Health": {"Extra": {"SwitchGuid": "ABC"}},
    "SchemaVersion": {"Major": 2, "Minor": 0},
}

POD: dict[str, Any] = {
    "ID": ENDPOINT_ID,
    "Name": "default_web",
    "HostComputeNetwork": NETWORK_ID.upper(),
    "HostComputeNamespace": NAMESPACE_ID,
    "Policies": [
        {"Type": "L2Driver", "Settings": {}},
        {"Type": "OutBoundNAT", "Settings": {"Exceptions": ["10.96.0.0/16", "10.244.0.0/16"]}},
        {"Type": "ACL", "Settings": {"Action": "Allow", "Direction": "In", "Protocols": "6", "Priority": "200"}},
    ],
    "IpConfigurations": [{"IpAddress": "10.244.5.3", "PrefixLength": 24}],
    "Dns": {},
    "Routes": [{"NextHop": "10.244.5.1", "DestinationPrefix": "0.0.0.0/0"}],
    "MacAddress": "00-15-5D-00-05-03",
    "SchemaVersion": {"Major": 2, "Minor": 0},
}

BALANCER: dict[str, Any] = {
    "ID": BALANCER_ID,
    "HostComputeEndpoints": [ENDPOINT_ID.upper()],
    "FrontendVIPs": ["10.96.0.20"],
    "PortMappings": [{"Protocol": 6, "InternalPort": 8080, "ExternalPort": 80, "Flags": 1}],
    "SourceVIP": "10.244.5.2",
    "Flags": 1,
}


def inventory(
    networks: list[dict[str, Any]] | None = None,
    endpoints: list[dict[str, Any]] | None = None,
    balancers: list[dict[str, Any]] | None = None,
    version: tuple[int, int] = (13, 2),
) -> Inventory:
    return Inventory(
        Version(*version),
        tuple(map(hcn.read_network, [OVERLAY] if networks is None else networks)),
        tuple(map(hcn.read_endpoint, [POD] if endpoints is None else endpoints)),
        tuple(map(hcn.read_load_balancer, [BALANCER] if balancers is None else balancers)),
    )
