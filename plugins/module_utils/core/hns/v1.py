# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""Documents of the older interface, `HNSCall` of vmcompute.dll: flat networks and endpoints, and its replies.

Only what the newer interface lacks is done through it: the version, and switch extensions as Open vSwitch's
users enable them. Its documents are read as well, because HNS shows with them what was made with them.
"""

from __future__ import annotations

import json
from typing import Any

from . import reading
from .errors import HnsError, InvalidObject
from .hcn import Document
from .objects import Address, Dns, Endpoint, Network, Policy, RemoteSubnet, Subnet
from .reading import Place


class CallFailed(HnsError):
    """HNS answered `Success: false`."""


def output(response: str, what: str) -> Any:
    """What a reply `{"Success", "Error", "Output"}` carries.

    Raises:
        CallFailed: HNS refused.
        InvalidObject: that was no such reply.
    """
    try:
        reply = json.loads(response)
        success = reply["Success"]
    except (ValueError, TypeError, KeyError) as error:
        raise InvalidObject(f"{what}: HNS gave no reply but {response[:200]!r}") from error
    if not success:
        raise CallFailed(f"{what}: HNS says {reply.get('Error') or 'nothing about the cause'}")
    return reply.get("Output")


def write_network(network: Network) -> Document:
    """The body of `POST /networks`."""
    written: Document = {"Name": network.name, "Type": network.type}
    if network.adapter:
        written["NetworkAdapterName"] = network.adapter
    if network.source_mac:
        written["SourceMac"] = network.source_mac
    if network.provider_address:
        written["ManagementIP"] = network.provider_address
    if network.dns is not None:
        written["DNSSuffix"] = network.dns.domain
        written["DNSServerList"] = ",".join(network.dns.servers)
    if network.automatic_dns is not None:
        written["AutomaticDNS"] = network.automatic_dns
    if network.subnets is not None:
        written["Subnets"] = [_write_subnet(subnet) for subnet in network.subnets]
    if network.policies:
        written["Policies"] = [_flat(policy) for policy in network.policies]
    return written


def _write_subnet(subnet: Subnet) -> Document:
    written: Document = {"AddressPrefix": subnet.prefix, "GatewayAddress": subnet.gateway}
    policies = [
        {"Type": type_, type_: number} for type_, number in (("VSID", subnet.vsid), ("VLAN", subnet.vlan)) if number
    ]
    return written | ({"Policies": policies} if policies else {})


_RENAMED = {"SDNRoute": "ROUTE", "ProviderAddress": "PA"}
_RENAMED_SETTINGS = {"Exceptions": "ExceptionList", "VirtualIP": "VIP"}


def _flat(policy: Policy) -> Document:
    """A policy of v2 (`{Type, Settings}`) as v1 has it: settings beside the type, some names other."""
    settings = json.loads(policy.settings)
    if policy.type == "ProviderAddress":
        return {"Type": "PA", "PA": settings.get("ProviderAddress", "")}
    return {"Type": _RENAMED.get(policy.type, policy.type)} | {
        _RENAMED_SETTINGS.get(key, key): value for key, value in settings.items()
    }


def _nested(value: Any, place: Place) -> Policy:
    flat = dict(reading.mapping(value, place))
    type_ = reading.text(flat.pop("Type", None), place.at("Type"))
    if type_ == "PA":
        return Policy.of("ProviderAddress", {"ProviderAddress": flat.get("PA", "")})
    back = {old: new for new, old in _RENAMED_SETTINGS.items()}
    types = {old: new for new, old in _RENAMED.items()}
    return Policy.of(types.get(type_, type_), {back.get(key, key): setting for key, setting in flat.items()})


def read_network(document: Any) -> Network:
    """A network of `GET /networks`. Raises InvalidObject."""
    network = reading.mapping(document, Place("a network of HNS: "))
    name = str(network.get("Name") or "")
    place = Place(f"HNS network {name!r}: ")
    policies = [_nested(member, at) for member, at in reading.items(network.get("Policies"), place.at("Policies"))]
    source_mac = network.get("SourceMac")
    return Network(
        name=name,
        type=str(network.get("Type") or "NAT"),
        adapter=str(network.get("NetworkAdapterName") or ""),
        subnets=tuple(_read_subnet(m, at) for m, at in reading.items(network.get("Subnets"), place.at("Subnets"))),
        source_mac=reading.mac(source_mac, place.at("SourceMac")) if source_mac else "",
        provider_address=str(network.get("ManagementIP") or ""),
        dns=Dns(str(network.get("DNSSuffix") or ""), servers=_listed(network.get("DNSServerList"))),
        automatic_dns=bool(network.get("AutomaticDNS", False)),
        host_route=any(policy.type == "HostRoute" for policy in policies),
        remote_subnets=tuple(_remote(policy, place) for policy in policies if policy.type == "RemoteSubnetRoute"),
        extensions=_read_extensions(network.get("Extensions"), place.at("Extensions")),
        policies=tuple(policy for policy in policies if policy.type not in ("HostRoute", "RemoteSubnetRoute")),
        id=reading.guid(network.get("ID"), place.at("ID")),
    )


def _listed(value: Any) -> tuple[str, ...]:
    return tuple(part.strip() for part in str(value or "").split(",") if part.strip())


def _remote(policy: Policy, place: Place) -> RemoteSubnet:
    settings = json.loads(policy.settings)
    at = place.at("RemoteSubnetRoute")
    return RemoteSubnet(
        reading.prefix(settings.get("DestinationPrefix"), at),
        reading.whole_number(settings.get("IsolationId") or 0, at, 0, (1 << 24) - 1),
        reading.address(settings.get("ProviderAddress"), at),
        reading.mac(settings.get("DistributedRouterMacAddress"), at),
    )


def _read_extensions(value: Any, place: Place) -> tuple[tuple[str, bool], ...]:
    return tuple(
        (
            reading.guid(reading.mapping(member, at).get("Id"), at.at("Id")),
            bool(reading.mapping(member, at).get("IsEnabled")),
        )
        for member, at in reading.items(value, place)
    )


def _read_subnet(value: Any, place: Place) -> Subnet:
    subnet = reading.mapping(value, place)
    isolation = {"VSID": 0, "VLAN": 0}
    for member, at in reading.items(subnet.get("Policies"), place.at("Policies")):
        policy = reading.mapping(member, at)
        if policy.get("Type") in isolation:
            number = policy.get(policy["Type"]) or 0
            isolation[policy["Type"]] = reading.whole_number(number, at, 0, (1 << 24) - 1)
    prefix = reading.prefix(subnet.get("AddressPrefix"), place.at("AddressPrefix"))
    return Subnet(prefix, str(subnet.get("GatewayAddress") or ""), isolation["VSID"], isolation["VLAN"])


def write_endpoint(endpoint: Endpoint, network_id: str) -> Document:
    """The body of `POST /endpoints`."""
    written: Document = {"Name": endpoint.name, "VirtualNetwork": network_id}
    for address in endpoint.addresses or ():
        family = "IPv6" if ":" in address.address else ""
        written[f"{family}Address" if family else "IPAddress"] = address.address
        if address.prefix_length:
            written[f"{family}PrefixLength"] = address.prefix_length
    if endpoint.mac:
        written["MacAddress"] = endpoint.mac
    if endpoint.gateway:
        written["GatewayAddress"] = endpoint.gateway
    if endpoint.dns is not None:
        written["DNSSuffix"] = endpoint.dns.domain
        written["DNSServerList"] = ",".join(endpoint.dns.servers)
    if endpoint.remote:
        written["IsRemoteEndpoint"] = True
    if endpoint.policies:
        written["Policies"] = [_flat(policy) for policy in endpoint.policies]
    return written


def read_endpoint(document: Any) -> Endpoint:
    """An endpoint of `GET /endpoints`. Raises InvalidObject."""
    endpoint = reading.mapping(document, Place("an endpoint of HNS: "))
    name = str(endpoint.get("Name") or "")
    place = Place(f"HNS endpoint {name!r}: ")
    addresses = []
    for key, length in (("IPAddress", "PrefixLength"), ("IPv6Address", "IPv6PrefixLength")):
        if endpoint.get(key):
            number = reading.whole_number(endpoint.get(length) or 0, place.at(length), 0, 128)
            addresses.append(Address(reading.address(endpoint[key], place.at(key)), number))
    mac = endpoint.get("MacAddress")
    return Endpoint(
        name=name,
        network=reading.guid(endpoint.get("VirtualNetwork"), place.at("VirtualNetwork")),
        addresses=tuple(addresses),
        mac=reading.mac(mac, place.at("MacAddress")) if mac else "",
        gateway=str(endpoint.get("GatewayAddress") or ""),
        routes=(),
        dns=Dns(str(endpoint.get("DNSSuffix") or ""), servers=_listed(endpoint.get("DNSServerList"))),
        namespace="",
        remote=bool(endpoint.get("IsRemoteEndpoint")),
        policies=tuple(
            _nested(member, at) for member, at in reading.items(endpoint.get("Policies"), place.at("Policies"))
        ),
        id=reading.guid(endpoint.get("ID"), place.at("ID")),
    )
