# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""Wanted objects from options: what a task, a configuration or a program says, checked before anything is changed.

The option names are those of `objects`. An option that is absent or null is not managed. Each object may say
`state: absent`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from ipaddress import ip_address, ip_network
from typing import Any, TypeVar

from . import reading
from .errors import InvalidObject
from .objects import (
    NETWORK_TYPES,
    SMALLEST_OVERLAY_VSID,
    Address,
    Dns,
    Endpoint,
    LoadBalancer,
    Network,
    Policy,
    PortMapping,
    RemoteSubnet,
    Route,
    Subnet,
)
from .reading import Place

T = TypeVar("T")
Reader = Callable[[Any, Place], Any]

PROTOCOLS = {"icmp": 1, "tcp": 6, "udp": 17, "sctp": 132}
DISTRIBUTIONS = {"connection": 0, "client_and_protocol": 1, "client": 2}


@dataclass(frozen=True)
class Wanted:
    """What shall be there and what shall not."""

    networks: tuple[Network, ...] = ()
    endpoints: tuple[Endpoint, ...] = ()
    load_balancers: tuple[LoadBalancer, ...] = ()
    absent_networks: tuple[str, ...] = ()
    absent_endpoints: tuple[str, ...] = ()
    absent_load_balancers: tuple[str, ...] = ()
    """By `LoadBalancer.name`."""


def read_wanted(document: Mapping[str, Any]) -> Wanted:
    """Read `{"networks": [...], "endpoints": [...], "load_balancers": [...]}`.

    Raises:
        InvalidObject: an option that does not exist, a value that it does not take, or a name used twice.
    """
    unknown = sorted(set(document) - {"networks", "endpoints", "load_balancers"})
    if unknown:
        raise InvalidObject(f"unknown: {', '.join(unknown)}; there are networks, endpoints and load_balancers")
    networks, no_networks = _split(document.get("networks"), "network", _network)
    endpoints, no_endpoints = _split(document.get("endpoints"), "endpoint", _endpoint)
    balancers, no_balancers = _split(document.get("load_balancers"), "load balancer", _load_balancer)
    return Wanted(networks, endpoints, balancers, no_networks, no_endpoints, no_balancers)


def _split(value: Any, kind: str, read: Callable[[Mapping[str, Any], str], T]) -> tuple[tuple[T, ...], tuple[str, ...]]:
    present: list[T] = []
    absent: list[str] = []
    seen: set[str] = set()
    for member, at in reading.items(value, Place(f"{kind}s")):
        options = dict(reading.mapping(member, at))
        state = options.pop("state", None) or "present"
        if state not in ("present", "absent"):
            raise at.at("state").wrong(state, "present or absent")
        result = read(options, at.text)
        name = str(result.name)  # type: ignore[attr-defined]
        if name in seen:
            raise InvalidObject(f"{kind} {name!r} is named twice")
        seen.add(name)
        if state == "present":
            present.append(result)
        else:
            absent.append(name)
    return tuple(present), tuple(absent)


def _fields(options: Mapping[str, Any], place: Place, readers: Mapping[str, Reader]) -> dict[str, Any]:
    unknown = sorted(set(options) - set(readers))
    if unknown:
        known = ", ".join(readers)
        raise InvalidObject(f"{place.text.rstrip(': ')}: unknown option {', '.join(unknown)}; there are {known}")
    return {key: readers[key](value, place.at(key)) for key, value in options.items() if value is not None}


def _named(options: Mapping[str, Any], kind: str, where: str) -> tuple[str, Place]:
    name = options.get("name")
    if not isinstance(name, str) or not name.strip():
        raise InvalidObject(f"{where}.name is {name!r}, not the name of a {kind}")
    return name, Place(f"{kind} {name!r}: ")


def _choice(choices: Iterable[str]) -> Reader:
    known = list(choices)

    def read(value: Any, place: Place) -> str:
        if value not in known:
            raise place.wrong(value, f"one of {', '.join(known)}")
        return str(value)

    return read


def _number(least: int, most: int) -> Reader:
    return lambda value, place: reading.whole_number(value, place, least, most)


def _list(read: Reader) -> Reader:
    return lambda value, place: tuple(read(member, at) for member, at in reading.items(value, place))


def _mac(value: Any, place: Place) -> str:
    return reading.mac(value, place)


# ---- parts


def _route(value: Any, place: Place) -> Route:
    readers = {"destination": reading.prefix, "next_hop": reading.address, "metric": _number(0, 65535)}
    fields = _fields(reading.mapping(value, place), place, readers)
    _required(fields, place, "destination", "next_hop")
    return Route(**fields)


def _required(fields: Mapping[str, Any], place: Place, *names: str) -> None:
    for name in names:
        if name not in fields:
            raise InvalidObject(f"{place.text.rstrip(': ')} needs {name}")


def _subnet(value: Any, place: Place) -> Subnet:
    readers: dict[str, Reader] = {
        "prefix": reading.prefix,
        "gateway": reading.address,
        "vsid": _number(0, (1 << 24) - 1),
        "vlan": _number(0, 4094),
        "routes": _list(_route),
    }
    fields = _fields(reading.mapping(value, place), place, readers)
    _required(fields, place, "prefix")
    if "gateway" in fields and ip_address(fields["gateway"]) not in ip_network(fields["prefix"]):
        raise place.at("gateway").wrong(fields["gateway"], f"an address in {fields['prefix']}")
    return Subnet(**fields)


def _dns(value: Any, place: Place) -> Dns:
    readers = {
        "domain": reading.text,
        "search": reading.texts,
        "servers": _list(reading.address),
        "options": reading.texts,
    }
    return Dns(**_fields(reading.mapping(value, place), place, readers))


def _remote_subnet(value: Any, place: Place) -> RemoteSubnet:
    readers = {
        "prefix": reading.prefix,
        "isolation_id": _number(SMALLEST_OVERLAY_VSID, (1 << 24) - 1),
        "provider_address": reading.address,
        "router_mac": _mac,
    }
    fields = _fields(reading.mapping(value, place), place, readers)
    _required(fields, place, *readers)
    return RemoteSubnet(**fields)


def _policy(value: Any, place: Place) -> Policy:
    readers: dict[str, Reader] = {"type": reading.text, "settings": reading.mapping}
    fields = _fields(reading.mapping(value, place), place, readers)
    _required(fields, place, "type")
    return Policy.of(fields["type"], fields.get("settings"))


def _extensions(value: Any, place: Place) -> tuple[tuple[str, bool], ...]:
    switches = reading.mapping(value, place)
    return tuple(
        sorted((reading.guid(id_, place), reading.truth(on, place.at(str(id_)))) for id_, on in switches.items())
    )


def _address(value: Any, place: Place) -> Address:
    if isinstance(value, str):
        written, _rest, length = value.partition("/")
        address = reading.address(written, place)
        most = 128 if ":" in address else 32
        return Address(address, reading.whole_number(length, place, 1, most) if length else 0)
    readers = {"address": reading.address, "prefix_length": _number(0, 128)}
    fields = _fields(reading.mapping(value, place), place, readers)
    _required(fields, place, "address")
    return Address(**fields)


def _protocol(value: Any, place: Place) -> int:
    if isinstance(value, str) and value.lower() in PROTOCOLS:
        return PROTOCOLS[value.lower()]
    return reading.whole_number(value, place, 1, 255)


def _distribution(value: Any, place: Place) -> int:
    if isinstance(value, str) and value in DISTRIBUTIONS:
        return DISTRIBUTIONS[value]
    return reading.whole_number(value, place, 0, 2)


def _port(value: Any, place: Place) -> PortMapping:
    readers: dict[str, Reader] = {
        "protocol": _protocol,
        "external_port": _number(0, 65535),
        "internal_port": _number(0, 65535),
        "distribution": _distribution,
        "internal": reading.truth,
        "local_routed_vip": reading.truth,
        "use_mux": reading.truth,
        "preserve_destination": reading.truth,
    }
    fields = _fields(reading.mapping(value, place), place, readers)
    _required(fields, place, "protocol", "external_port")
    fields.setdefault("internal_port", fields["external_port"])
    return PortMapping(**fields)


# ---- objects


def _network(options: Mapping[str, Any], where: str) -> Network:
    name, place = _named(options, "network", where)
    readers: dict[str, Reader] = {
        "name": reading.text,
        "type": _choice(NETWORK_TYPES),
        "adapter": reading.text,
        "subnets": _list(_subnet),
        "source_mac": _mac,
        "provider_address": reading.address,
        "dns": _dns,
        "automatic_dns": reading.truth,
        "vxlan_port": _number(1, 65535),
        "host_route": reading.truth,
        "host_port": reading.truth,
        "persistent": reading.truth,
        "remote_subnets": _list(_remote_subnet),
        "extensions": _extensions,
        "policies": _list(_policy),
    }
    network = Network(**_fields(options, place, readers))
    if network.type == "Overlay":
        for position, subnet in enumerate(network.subnets or ()):
            if subnet.vsid < SMALLEST_OVERLAY_VSID:
                at = place.at("subnets").at(position).at("vsid")
                raise at.wrong(subnet.vsid, f"{SMALLEST_OVERLAY_VSID} or more, as Windows wants it for an overlay")
    elif network.type is not None:
        for option in ("remote_subnets", "host_route", "vxlan_port"):
            if getattr(network, option):
                raise InvalidObject(f"network {name!r}: {option} is for networks of type Overlay, not {network.type}")
    _unique(network.subnets, lambda subnet: subnet.prefix, place.at("subnets"))
    _unique(network.remote_subnets, lambda remote: remote.prefix, place.at("remote_subnets"))
    return network


def _unique(values: tuple[T, ...] | None, key: Callable[[T], str], place: Place) -> None:
    seen: set[str] = set()
    for value in values or ():
        if key(value) in seen:
            raise InvalidObject(f"{place.text}: {key(value)} is there twice")
        seen.add(key(value))


def _endpoint(options: Mapping[str, Any], where: str) -> Endpoint:
    _rest, place = _named(options, "endpoint", where)
    readers: dict[str, Reader] = {
        "name": reading.text,
        "network": reading.text,
        "addresses": _list(_address),
        "mac": _mac,
        "gateway": reading.address,
        "routes": _list(_route),
        "dns": _dns,
        "namespace": lambda value, at: reading.guid(value, at) if value else "",
        "remote": reading.truth,
        "policies": _list(_policy),
    }
    return Endpoint(**_fields(options, place, readers))


def _load_balancer(options: Mapping[str, Any], where: str) -> LoadBalancer:
    place = Place(where)
    readers: dict[str, Reader] = {
        "vips": _list(reading.address),
        "ports": _list(_port),
        "endpoints": reading.texts,
        "source_vip": lambda value, at: reading.address(value, at) if value else "",
        "dsr": reading.truth,
        "ipv6": reading.truth,
    }
    fields = _fields(options, place, readers)
    _required(fields, place, "ports")
    # Without addresses it balances what comes to the node's own: node ports.
    fields.setdefault("vips", ())
    if not fields["ports"]:
        raise place.at("ports").wrong([], "at least one port")
    return LoadBalancer(**fields)
