# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""Services as load balancers."""

from __future__ import annotations

import random
from typing import Any

import pytest
from ovn_k8s.core.rows import Parent
from ovn_k8s.core.services import (
    Endpoint,
    EndpointSlice,
    Service,
    ServicePort,
    endpoint_slice_from_api,
    service_from_api,
    service_load_balancers,
)


def service(**spec: Any) -> dict[str, Any]:
    return {"metadata": {"namespace": "d", "name": "web"}, "spec": spec}


def endpoint(address: str, ready: bool = True) -> Endpoint:
    return Endpoint(address, "", ready, ready, False)


def part(*endpoints: Endpoint, ports: tuple[ServicePort, ...], family: str = "IPv4", name: str = "s") -> EndpointSlice:
    return EndpointSlice("d", name, "web", family, ports, endpoints)


HTTP = ServicePort("http", "TCP", 80)


def vips(given: Service, *slices: EndpointSlice) -> dict[str, dict[str, str]]:
    return {row.name: dict(row.columns["vips"]) for row in service_load_balancers(given, slices)}


@pytest.mark.parametrize(
    ("document", "addresses"),
    [
        (service(clusterIP="10.96.0.9", clusterIPs=["10.96.0.9"]), ("10.96.0.9",)),
        (service(clusterIP="10.96.0.9"), ("10.96.0.9",)),
        (service(clusterIP="10.96.0.9", clusterIPs=["10.96.0.9", "fd00::9"]), ("10.96.0.9", "fd00::9")),
        (service(clusterIP="None", clusterIPs=["None"]), ()),
        (service(type="ExternalName", externalName="x"), ()),
        (service(), ()),
    ],
)
def test_cluster_addresses(document: dict[str, Any], addresses: tuple[str, ...]) -> None:
    assert service_from_api(document).cluster_ips == addresses


def test_a_service_with_a_proxy_of_its_own_is_not_ours() -> None:
    document = service(clusterIP="10.96.0.9")
    document["metadata"]["labels"] = {"service.kubernetes.io/service-proxy-name": "other"}
    assert service_from_api(document).cluster_ips == ()


def test_reading_a_slice() -> None:
    document = {
        "metadata": {"namespace": "d", "name": "web-x", "labels": {"kubernetes.io/service-name": "web"}},
        "addressType": "IPv4",
        "ports": [{"name": "http", "port": 8080, "protocol": "TCP"}, {"name": "any", "port": None}],
        "endpoints": [
            {"addresses": ["10.244.1.9"], "conditions": {"ready": True, "serving": True, "terminating": False}},
            {"addresses": ["10.244.1.4"], "nodeName": "linux1"},
            {"addresses": ["10.244.1.5"], "conditions": {"ready": False, "serving": True, "terminating": True}},
            {"addresses": ["10.244.1.6"], "conditions": {"ready": False}},
            {"addresses": []},
        ],
    }
    parsed = endpoint_slice_from_api(document)
    assert parsed.service == "web"
    assert parsed.ports == (ServicePort("http", "TCP", 8080),)
    assert parsed.endpoints == (
        Endpoint("10.244.1.4", "linux1", True, True, False),
        Endpoint("10.244.1.5", "", False, True, True),
        Endpoint("10.244.1.6", "", False, False, False),
        Endpoint("10.244.1.9", "", True, True, False),
    )


def test_one_load_balancer_per_protocol() -> None:
    given = Service("d", "dns", ("10.96.0.10",), (ServicePort("t", "TCP", 53), ServicePort("u", "UDP", 53)))
    rows = service_load_balancers(given, ())
    assert [row.name for row in rows] == ["service_d_dns_tcp", "service_d_dns_udp"]
    assert [row.columns["protocol"] for row in rows] == ["tcp", "udp"]
    assert {row.owner for row in rows} == {"service/d/dns"}
    assert {row.parent for row in rows} == {Parent("Load_Balancer_Group", "clusterLBGroup", "load_balancer")}
    assert rows[0].columns["options"]["reject"] == "true"


def test_no_endpoints_no_backends_and_unready_ones_do_not_count() -> None:
    given = Service("d", "web", ("10.96.0.9",), (HTTP,))
    assert vips(given) == {"service_d_web_tcp": {"10.96.0.9:80": ""}}
    target = (ServicePort("http", "TCP", 8080),)
    assert vips(given, part(endpoint("10.244.1.3", ready=False), ports=target)) == {
        "service_d_web_tcp": {"10.96.0.9:80": ""}
    }


def test_ports_are_matched_by_name_and_protocol() -> None:
    given = Service(
        "d", "web", ("10.96.0.9",), (HTTP, ServicePort("metrics", "TCP", 90), ServicePort("http", "UDP", 80))
    )
    slices = [
        part(
            endpoint("10.244.1.3"),
            ports=(ServicePort("http", "TCP", 8080), ServicePort("metrics", "TCP", 9090)),
            name="1",
        ),
        part(endpoint("10.244.1.4"), ports=(ServicePort("http", "TCP", 8081),), name="2"),
    ]
    assert vips(given, *slices) == {
        "service_d_web_tcp": {"10.96.0.9:80": "10.244.1.3:8080,10.244.1.4:8081", "10.96.0.9:90": "10.244.1.3:9090"},
        "service_d_web_udp": {"10.96.0.9:80": ""},
    }


def test_families_do_not_mix() -> None:
    given = Service("d", "web", ("10.96.0.9", "fd00::9"), (HTTP,))
    slices = [
        part(endpoint("10.244.1.3"), ports=(HTTP,), name="4"),
        part(endpoint("fd01::3"), ports=(HTTP,), family="IPv6", name="6"),
        part(endpoint("example.com"), ports=(HTTP,), family="FQDN", name="f"),
    ]
    assert vips(given, *slices) == {
        "service_d_web_tcp": {"10.96.0.9:80": "10.244.1.3:80", "[fd00::9]:80": "[fd01::3]:80"}
    }


def test_the_order_of_slices_and_endpoints_does_not_matter() -> None:
    given = Service("d", "web", ("10.96.0.9",), (HTTP,))
    endpoints = [endpoint(f"10.244.{number % 7}.{number}") for number in range(3, 60)]
    chance = random.Random(1)
    found = set()
    for _ in range(5):
        chance.shuffle(endpoints)
        slices = [part(*endpoints[:20], ports=(HTTP,), name="a"), part(*endpoints[15:], ports=(HTTP,), name="b")]
        chance.shuffle(slices)
        found.add(vips(given, *slices)["service_d_web_tcp"]["10.96.0.9:80"])
    assert len(found) == 1
    assert found.pop().count(",") == len(endpoints) - 1
