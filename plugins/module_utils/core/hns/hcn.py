# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""Documents of HCN v2 (computenetwork.dll): how objects are written there and read back.

Sources: hcsshim `hcn/*.go` and Microsoft's `hns.v2.psm1`. HNS leaves out what has its default value; above all a
network of type NAT has no `Type`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from . import reading
from .objects import (
    Address,
    Dns,
    Endpoint,
    LoadBalancer,
    Namespace,
    Network,
    Policy,
    PortMapping,
    RemoteSubnet,
    Route,
    Subnet,
)
from .reading import Place

Document = dict[str, Any]

SCHEMA_VERSION = {"Major": 2, "Minor": 0}
NON_PERSISTENT, DISABLE_HOST_PORT = 8, 1024
REMOTE_ENDPOINT = 1
DIRECT_SERVER_RETURN, IPV6 = 1, 2
INTERNAL, LOCAL_ROUTED_VIP, USE_MUX, PRESERVE_DESTINATION = 1, 2, 4, 8
ANY_V4, ANY_V6 = "0.0.0.0/0", "::/0"

_OPTION_POLICIES = frozenset(
    {
        "NetAdapterName",
        "SourceMacAddress",
        "ProviderAddress",
        "AutomaticDNS",
        "VxlanPort",
        "HostRoute",
        "RemoteSubnetRoute",
        "VSwitchExtension",
        "DrMacAddress",
    }
)
"""Network policies that the options of a network stand for."""


def query(detailed: bool = False) -> Document:
    """What HcnEnumerate… and HcnQuery…Properties take."""
    return {"SchemaVersion": SCHEMA_VERSION, "Flags": 1 if detailed else 0}


def _any(gateway: str) -> str:
    return ANY_V6 if ":" in gateway else ANY_V4


# ---- writing


def remote_subnet_policy(remote: RemoteSubnet) -> Document:
    """The policy that sends a prefix to another node of an overlay network."""
    return {
        "Type": "RemoteSubnetRoute",
        "Settings": {
            "DestinationPrefix": remote.prefix,
            "IsolationId": remote.isolation_id,
            "ProviderAddress": remote.provider_address,
            "DistributedRouterMacAddress": remote.router_mac,
        },
    }


HOST_ROUTE_POLICY: Document = {"Type": "HostRoute", "Settings": {}}


def write_route(route: Route) -> Document:
    written: Document = {"NextHop": route.next_hop, "DestinationPrefix": route.destination}
    return written | ({"Metric": route.metric} if route.metric else {})


def write_dns(dns: Dns) -> Document:
    return {
        "Domain": dns.domain,
        "Search": list(dns.search),
        "ServerList": list(dns.servers),
        "Options": list(dns.options),
    }


def _write_subnet(subnet: Subnet) -> Document:
    written: Document = {"IpAddressPrefix": subnet.prefix}
    policies = [
        {"Type": type_, "Settings": {"IsolationId": number}}
        for type_, number in (("VSID", subnet.vsid), ("VLAN", subnet.vlan))
        if number
    ]
    routes = [Route(_any(subnet.gateway), subnet.gateway)] if subnet.gateway else []
    if policies:
        written["Policies"] = policies
    written["Routes"] = [write_route(route) for route in (*routes, *subnet.routes)]
    return written


def _network_policies(network: Network) -> Iterator[Document]:
    if network.source_mac:
        yield {"Type": "SourceMacAddress", "Settings": {"SourceMacAddress": network.source_mac}}
    if network.adapter:
        yield {"Type": "NetAdapterName", "Settings": {"NetworkAdapterName": network.adapter}}
    if network.provider_address:
        yield {"Type": "ProviderAddress", "Settings": {"ProviderAddress": network.provider_address}}
    if network.automatic_dns is not None:
        yield {"Type": "AutomaticDNS", "Settings": {"Enable": network.automatic_dns}}
    if network.vxlan_port:
        yield {"Type": "VxlanPort", "Settings": {"Port": network.vxlan_port}}
    for policy in network.policies or ():
        yield policy.document()
    # HNS wants a network's own settings first, and its routes when it knows the rest.
    if network.host_route:
        yield HOST_ROUTE_POLICY
    for remote in network.remote_subnets or ():
        yield remote_subnet_policy(remote)


def write_network(network: Network) -> Document:
    """The settings of HcnCreateNetwork, without extensions: one enabled while its switch comes up can lose the host."""
    written: Document = {
        "Name": network.name,
        "Type": network.type,
        "Policies": list(_network_policies(network)),
        "SchemaVersion": SCHEMA_VERSION,
    }
    if network.id:
        written["ID"] = network.id
    flags = (NON_PERSISTENT if network.persistent is False else 0) | (
        DISABLE_HOST_PORT if network.host_port is False else 0
    )
    if flags:
        written["Flags"] = flags
    if network.dns is not None:
        written["Dns"] = write_dns(network.dns)
    if network.subnets is not None:
        written["Ipams"] = [{"Type": "Static", "Subnets": [_write_subnet(subnet) for subnet in network.subnets]}]
    return written


def write_endpoint(endpoint: Endpoint, network_id: str) -> Document:
    """The settings of HcnCreateEndpoint; joining a namespace is a request of its own."""
    written: Document = {
        "Name": endpoint.name,
        "HostComputeNetwork": network_id,
        "Policies": [policy.document() for policy in endpoint.policies or ()],
        "SchemaVersion": SCHEMA_VERSION,
    }
    if endpoint.id:
        written["ID"] = endpoint.id
    if endpoint.addresses is not None:
        written["IpConfigurations"] = [
            {"IpAddress": address.address} | ({"PrefixLength": address.prefix_length} if address.prefix_length else {})
            for address in endpoint.addresses
        ]
    if endpoint.mac:
        written["MacAddress"] = endpoint.mac
    routes = [Route(_any(endpoint.gateway), endpoint.gateway)] if endpoint.gateway else []
    routes += endpoint.routes or ()
    if routes:
        written["Routes"] = [write_route(route) for route in routes]
    if endpoint.dns is not None:
        written["Dns"] = write_dns(endpoint.dns)
    if endpoint.remote:
        written["Flags"] = REMOTE_ENDPOINT
    return written


def _write_port(port: PortMapping) -> Document:
    flags = (
        (INTERNAL if port.internal else 0)
        | (LOCAL_ROUTED_VIP if port.local_routed_vip else 0)
        | (USE_MUX if port.use_mux else 0)
        | (PRESERVE_DESTINATION if port.preserve_destination else 0)
    )
    written = {
        "Protocol": port.protocol,
        "InternalPort": port.internal_port,
        "ExternalPort": port.external_port,
        "DistributionType": port.distribution,
        "Flags": flags,
    }
    return {key: value for key, value in written.items() if value}


def write_load_balancer(balancer: LoadBalancer, endpoint_ids: Iterable[str]) -> Document:
    """The settings of HcnCreateLoadBalancer and, where HNS has it, HcnModifyLoadBalancer."""
    written: Document = {
        "HostComputeEndpoints": list(endpoint_ids),
        "FrontendVIPs": list(balancer.vips),
        "PortMappings": [_write_port(port) for port in balancer.ports],
        "SchemaVersion": SCHEMA_VERSION,
    }
    if balancer.source_vip:
        written["SourceVIP"] = balancer.source_vip
    flags = (DIRECT_SERVER_RETURN if balancer.dsr else 0) | (IPV6 if balancer.ipv6 else 0)
    if flags:
        written["Flags"] = flags
    return written


def modify(resource: str, request: str, settings: Document) -> Document:
    """The settings of HcnModify…: resource Policy, DNS, Extension, Endpoint or Port; request Add, Remove or Update."""
    return {"ResourceType": resource, "RequestType": request, "Settings": settings}


def modify_policies(request: str, policies: Iterable[Document]) -> Document:
    """Add or remove policies of a network or an endpoint."""
    return modify("Policy", request, {"Policies": list(policies)})


def namespace_endpoint(request: str, endpoint_id: str) -> Document:
    """Let an endpoint into a namespace (Add) or take it out (Remove)."""
    return modify("Endpoint", request, {"EndpointId": endpoint_id})


# ---- reading


def _settings(policy: Mapping[str, Any], place: Place) -> Mapping[str, Any]:
    # Microsoft's page on the schemas calls the settings Data; shipping code says Settings.
    return reading.mapping(policy.get("Settings") or policy.get("Data") or {}, place.at("Settings"))


def _read_policies(value: Any, place: Place) -> list[tuple[str, Mapping[str, Any], Place]]:
    result = []
    for member, at in reading.items(value, place):
        policy = reading.mapping(member, at)
        result.append((reading.text(policy.get("Type"), at.at("Type")), _settings(policy, at), at.at("Settings")))
    return result


def _read_route(value: Any, place: Place) -> Route:
    route = reading.mapping(value, place)
    destination = route.get("DestinationPrefix") or ANY_V4
    return Route(
        reading.prefix(destination, place.at("DestinationPrefix")),
        str(route.get("NextHop") or ""),
        reading.whole_number(route.get("Metric") or 0, place.at("Metric"), 0, 65535),
    )


def _split_routes(value: Any, place: Place) -> tuple[str, tuple[Route, ...]]:
    """The gateway (next hop of the first default route) and the other routes."""
    routes = [_read_route(member, at) for member, at in reading.items(value, place)]
    defaults = [route for route in routes if route.destination in (ANY_V4, ANY_V6)]
    others = [route for route in routes if route not in defaults[:1]]
    return (defaults[0].next_hop if defaults else ""), tuple(others)


def read_dns(value: Any, place: Place) -> Dns:
    dns = reading.mapping(value or {}, place)
    return Dns(
        str(dns.get("Domain") or ""),
        reading.texts(dns.get("Search"), place.at("Search")),
        reading.texts(dns.get("ServerList"), place.at("ServerList")),
        reading.texts(dns.get("Options"), place.at("Options")),
    )


def _read_subnet(value: Any, place: Place) -> Subnet:
    subnet = reading.mapping(value, place)
    isolation = {"VSID": 0, "VLAN": 0}
    for type_, settings, at in _read_policies(subnet.get("Policies"), place.at("Policies")):
        if type_ in isolation:
            number = settings.get("IsolationId") or 0
            isolation[type_] = reading.whole_number(number, at.at("IsolationId"), 0, (1 << 24) - 1)
    gateway, routes = _split_routes(subnet.get("Routes"), place.at("Routes"))
    prefix = reading.prefix(subnet.get("IpAddressPrefix"), place.at("IpAddressPrefix"))
    return Subnet(prefix, gateway, isolation["VSID"], isolation["VLAN"], routes)


def read_network(document: Any) -> Network:
    """A network as HcnQueryNetworkProperties gives it. Raises InvalidObject."""
    network = reading.mapping(document, Place("a network of HNS: "))
    name = str(network.get("Name") or "")
    place = Place(f"HNS network {name!r}: ")
    policies = _read_policies(network.get("Policies"), place.at("Policies"))
    subnets = [
        _read_subnet(member, at)
        for ipam, where in reading.items(network.get("Ipams"), place.at("Ipams"))
        for member, at in reading.items(reading.mapping(ipam, where).get("Subnets"), where.at("Subnets"))
    ]
    flags = reading.whole_number(network.get("Flags") or 0, place.at("Flags"), 0, (1 << 32) - 1)

    def setting(type_: str, key: str, default: Any) -> Any:
        return next((settings.get(key, default) for kind, settings, _rest in policies if kind == type_), default)

    def mac(type_: str, key: str) -> str:
        value = setting(type_, key, "")
        return reading.mac(value, place.at(type_)) if value else ""

    return Network(
        name=name,
        type=str(network.get("Type") or "NAT"),
        adapter=str(setting("NetAdapterName", "NetworkAdapterName", "")),
        subnets=tuple(subnets),
        source_mac=mac("SourceMacAddress", "SourceMacAddress"),
        provider_address=str(setting("ProviderAddress", "ProviderAddress", "")),
        dns=read_dns(network.get("Dns"), place.at("Dns")),
        automatic_dns=bool(setting("AutomaticDNS", "Enable", False)),
        vxlan_port=reading.whole_number(setting("VxlanPort", "Port", 0), place.at("VxlanPort"), 0, 65535),
        host_route=any(kind == "HostRoute" for kind, _settings, _place in policies),
        host_port=not flags & DISABLE_HOST_PORT,
        persistent=not flags & NON_PERSISTENT,
        remote_subnets=tuple(
            _read_remote_subnet(settings, at) for kind, settings, at in policies if kind == "RemoteSubnetRoute"
        ),
        extensions=tuple(
            (reading.guid(settings.get("ExtensionID"), at.at("ExtensionID")), bool(settings.get("Enable")))
            for kind, settings, at in policies
            if kind == "VSwitchExtension"
        ),
        policies=tuple(Policy.of(kind, settings) for kind, settings, _rest in policies if kind not in _OPTION_POLICIES),
        router_mac=mac("DrMacAddress", "Address"),
        id=reading.guid(network.get("ID"), place.at("ID")),
    )


def _read_remote_subnet(settings: Mapping[str, Any], place: Place) -> RemoteSubnet:
    return RemoteSubnet(
        reading.prefix(settings.get("DestinationPrefix"), place.at("DestinationPrefix")),
        reading.whole_number(settings.get("IsolationId") or 0, place.at("IsolationId"), 0, (1 << 24) - 1),
        reading.address(settings.get("ProviderAddress"), place.at("ProviderAddress")),
        reading.mac(settings.get("DistributedRouterMacAddress"), place.at("DistributedRouterMacAddress")),
    )


def read_endpoint(document: Any) -> Endpoint:
    """An endpoint as HcnQueryEndpointProperties gives it. Raises InvalidObject."""
    endpoint = reading.mapping(document, Place("an endpoint of HNS: "))
    name = str(endpoint.get("Name") or "")
    place = Place(f"HNS endpoint {name!r}: ")
    addresses = []
    for member, at in reading.items(endpoint.get("IpConfigurations"), place.at("IpConfigurations")):
        config = reading.mapping(member, at)
        length = reading.whole_number(config.get("PrefixLength") or 0, at.at("PrefixLength"), 0, 128)
        addresses.append(Address(reading.address(config.get("IpAddress"), at.at("IpAddress")), length))
    gateway, routes = _split_routes(endpoint.get("Routes"), place.at("Routes"))
    mac, namespace = endpoint.get("MacAddress"), endpoint.get("HostComputeNamespace")
    flags = reading.whole_number(endpoint.get("Flags") or 0, place.at("Flags"), 0, (1 << 32) - 1)
    return Endpoint(
        name=name,
        network=reading.guid(endpoint.get("HostComputeNetwork"), place.at("HostComputeNetwork")),
        addresses=tuple(addresses),
        mac=reading.mac(mac, place.at("MacAddress")) if mac else "",
        gateway=gateway,
        routes=routes,
        dns=read_dns(endpoint.get("Dns"), place.at("Dns")),
        namespace=reading.guid(namespace, place.at("HostComputeNamespace")) if namespace else "",
        remote=bool(flags & REMOTE_ENDPOINT),
        policies=tuple(
            Policy.of(kind, settings)
            for kind, settings, _rest in _read_policies(endpoint.get("Policies"), place.at("Policies"))
        ),
        id=reading.guid(endpoint.get("ID"), place.at("ID")),
    )


def _read_port(value: Any, place: Place) -> PortMapping:
    port = reading.mapping(value, place)

    def number(key: str, most: int) -> int:
        return reading.whole_number(port.get(key) or 0, place.at(key), 0, most)

    flags = number("Flags", (1 << 32) - 1)
    return PortMapping(
        number("Protocol", 255),
        number("ExternalPort", 65535),
        number("InternalPort", 65535),
        number("DistributionType", 2),
        bool(flags & INTERNAL),
        bool(flags & LOCAL_ROUTED_VIP),
        bool(flags & USE_MUX),
        bool(flags & PRESERVE_DESTINATION),
    )


def read_load_balancer(document: Any) -> LoadBalancer:
    """A load balancer as HcnQueryLoadBalancerProperties gives it. Raises InvalidObject."""
    balancer = reading.mapping(document, Place("a load balancer of HNS: "))
    place = Place(f"HNS load balancer {balancer.get('ID')}: ")
    flags = reading.whole_number(balancer.get("Flags") or 0, place.at("Flags"), 0, (1 << 32) - 1)
    endpoints = [
        # Some versions give paths, as the policy lists of v1 have them.
        reading.guid(reading.text(member, at).rpartition("/")[2], at)
        for member, at in reading.items(balancer.get("HostComputeEndpoints"), place.at("HostComputeEndpoints"))
    ]
    return LoadBalancer(
        vips=reading.texts(balancer.get("FrontendVIPs"), place.at("FrontendVIPs")),
        ports=tuple(
            _read_port(member, at)
            for member, at in reading.items(balancer.get("PortMappings"), place.at("PortMappings"))
        ),
        endpoints=tuple(endpoints),
        source_vip=str(balancer.get("SourceVIP") or ""),
        dsr=bool(flags & DIRECT_SERVER_RETURN),
        ipv6=bool(flags & IPV6),
        id=reading.guid(balancer.get("ID"), place.at("ID")),
    )


def read_namespace(document: Any) -> Namespace:
    """A namespace as HcnQueryNamespaceProperties gives it. Raises InvalidObject."""
    namespace = reading.mapping(document, Place("a namespace of HNS: "))
    place = Place(f"HNS namespace {namespace.get('ID')}: ")
    members: dict[str, list[str]] = {"Endpoint": [], "Container": []}
    for member, at in reading.items(namespace.get("Resources"), place.at("Resources")):
        resource = reading.mapping(member, at)
        data = reading.mapping(resource.get("Data") or {}, at.at("Data"))
        # Container ids are whatever the runtime chose; endpoint ids are GUIDs.
        written = str(data.get("ID") or data.get("Id") or "")
        if resource.get("Type") in members and written:
            kind = str(resource["Type"])
            members[kind].append(reading.guid(written, at) if kind == "Endpoint" else written)
    return Namespace(
        id=reading.guid(namespace.get("ID"), place.at("ID")),
        type=str(namespace.get("Type") or "Host"),
        compartment=reading.whole_number(namespace.get("NamespaceId") or 0, place.at("NamespaceId"), 0, (1 << 32) - 1),
        endpoints=tuple(members["Endpoint"]),
        containers=tuple(members["Container"]),
    )
