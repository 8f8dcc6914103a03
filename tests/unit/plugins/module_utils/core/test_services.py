# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""Services as load balancers."""

from __future__ import annotations

import random
from ipaddress import IPv4Network
from typing import Any

import pytest
from ansible_collections.ovn_k8s.cluster.plugins.module_utils.core.database import Database
from ansible_collections.ovn_k8s.cluster.plugins.module_utils.core.rows import Parent, Row
from ansible_collections.ovn_k8s.cluster.plugins.module_utils.core.schema import parse_schema
from ansible_collections.ovn_k8s.cluster.plugins.module_utils.core.service_rows import (
    TABLES,
    Gateway,
    Surroundings,
    is_outside,
    knows_affinity,
    service_load_balancers,
    service_rows,
    surroundings,
)
from ansible_collections.ovn_k8s.cluster.plugins.module_utils.core.services import (
    Endpoint,
    EndpointSlice,
    Service,
    ServicePort,
    endpoint_slice_from_api,
    service_from_api,
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


@pytest.mark.parametrize(
    ("spec", "seconds"),
    [
        ({}, 0),
        ({"sessionAffinity": "None"}, 0),
        ({"sessionAffinity": "ClientIP"}, 10800),
        ({"sessionAffinity": "ClientIP", "sessionAffinityConfig": {"clientIP": {"timeoutSeconds": 30}}}, 30),
        ({"sessionAffinity": "ClientIP", "sessionAffinityConfig": {"clientIP": {"timeoutSeconds": 86400}}}, 65535),
    ],
)
def test_session_affinity(spec: dict[str, Any], seconds: int) -> None:
    given = service_from_api(service(clusterIP="10.96.0.9", ports=[{"port": 80}], **spec))
    assert given.affinity_s == seconds
    (row,) = service_load_balancers(given, ())
    assert row.columns["options"].get("affinity_timeout") == (str(seconds) if seconds else None)
    (row,) = service_load_balancers(given, (), affinity=False)
    assert "affinity_timeout" not in row.columns["options"]


@pytest.mark.parametrize(("version", "knows"), [("6.3.0", False), ("7.0.0", True), ("7.12.0", True), ("", False)])
def test_the_schema_says_whether_affinity_is_known(version: str, knows: bool) -> None:
    assert knows_affinity(version) is knows


def test_endpoints_that_end_count_only_when_none_is_ready() -> None:
    given = Service("d", "web", ("10.96.0.9",), (HTTP,))
    ready = Endpoint("10.244.1.3", "", True, True, False)
    ending = Endpoint("10.244.1.4", "", False, True, True)
    ended = Endpoint("10.244.1.5", "", False, False, True)
    starting = Endpoint("10.244.1.6", "", False, False, False)
    unready = Endpoint("10.244.1.7", "", False, True, False)  # nobody makes one, and it is not ending
    cases = (
        ((ready, ending, ended, starting, unready), "10.244.1.3:80"),
        ((ending, ended, starting, unready), "10.244.1.4:80"),
        ((ended, starting, unready), ""),
    )
    for endpoints, backends in cases:
        assert vips(given, part(*endpoints, ports=(HTTP,)))["service_d_web_tcp"] == {"10.96.0.9:80": backends}


def test_endpoints_that_end_count_for_the_port_that_has_no_ready_one() -> None:
    other = ServicePort("other", "TCP", 90)
    given = Service("d", "web", ("10.96.0.9",), (HTTP, other))
    slices = [
        part(Endpoint("10.244.1.3", "", True, True, False), ports=(HTTP,), name="a"),
        part(Endpoint("10.244.1.4", "", False, True, True), ports=(HTTP, other), name="b"),
    ]
    assert vips(given, *slices)["service_d_web_tcp"] == {
        "10.96.0.9:80": "10.244.1.3:80",
        "10.96.0.9:90": "10.244.1.4:90",
    }


def test_what_the_control_plane_calls_ready_is_ready() -> None:
    """Endpoints of a service with publishNotReadyAddresses are ready even while they end."""
    given = Service("d", "web", ("10.96.0.9",), (HTTP,))
    endpoints = (Endpoint("10.244.1.3", "", True, False, False), Endpoint("10.244.1.4", "", True, False, True))
    assert vips(given, part(*endpoints, ports=(HTTP,)))["service_d_web_tcp"] == {
        "10.96.0.9:80": "10.244.1.3:80,10.244.1.4:80"
    }


def test_internal_traffic_policy_local_makes_a_load_balancer_per_node() -> None:
    document = service(clusterIP="10.96.0.9", ports=[{"port": 80, "name": "http"}], internalTrafficPolicy="Local")
    given = service_from_api(document)
    assert given.local
    endpoints = (
        Endpoint("10.244.1.3", "n1", True, True, False),
        Endpoint("10.244.2.3", "n2", False, True, True),
        Endpoint("10.244.2.4", "", True, True, False),
    )
    rows = service_load_balancers(given, [part(*endpoints, ports=(HTTP,))], Surroundings(("n1", "n2", "n3")))
    assert {(row.name, row.parent, row.columns["vips"]["10.96.0.9:80"]) for row in rows} == {
        ("service_d_web_tcp_node_n1", Parent("Logical_Switch", "n1", "load_balancer"), "10.244.1.3:80"),
        ("service_d_web_tcp_node_n2", Parent("Logical_Switch", "n2", "load_balancer"), "10.244.2.3:80"),
        ("service_d_web_tcp_node_n3", Parent("Logical_Switch", "n3", "load_balancer"), ""),
    }
    assert all(row.columns["options"]["reject"] == "true" for row in rows)


def test_sctp() -> None:
    given = Service("d", "web", ("10.96.0.9",), (ServicePort("", "SCTP", 80),))
    target = ServicePort("", "SCTP", 8080)
    (row,) = service_load_balancers(given, [part(endpoint("10.244.1.3"), ports=(target,))])
    assert (row.name, row.columns["protocol"]) == ("service_d_web_sctp", "sctp")
    assert row.columns["vips"] == {"10.96.0.9:80": "10.244.1.3:8080"}


OUTSIDE = {
    "type": "LoadBalancer",
    "clusterIP": "10.96.0.9",
    "externalIPs": ["203.0.113.5"],
    "ports": [{"name": "http", "port": 80, "nodePort": 30080}],
}
HOSTS = {"n1": "172.30.0.12", "gw": "172.30.0.14"}
TARGET = (ServicePort("http", "TCP", 8080),)


def outside(*gateways: Gateway, status: dict[str, Any] | None = None, **spec: Any) -> dict[str, Any]:
    """Rows, by the end of their names, of a service with endpoints on n1 and n2."""
    document = service(**{**OUTSIDE, **spec})
    document["status"] = {"loadBalancer": status or {}}
    endpoints = (Endpoint("10.244.1.3", "n1", True, True, False), Endpoint("10.244.2.3", "n2", True, True, False))
    around = Surroundings(("n1", "n2"), HOSTS, gateways)
    rows = service_load_balancers(service_from_api(document), [part(*endpoints, ports=TARGET)], around)
    return {row.name.removeprefix("service_d_web_tcp"): row for row in rows}


def test_node_ports_and_external_addresses_inside_and_at_the_gateway() -> None:
    status = {"ingress": [{"ip": "192.0.2.77"}, {"ip": "192.0.2.78", "ipMode": "Proxy"}, {"hostname": "example.com"}]}
    rows = outside(Gateway("gw", "192.0.2.2"), status=status)
    both = "10.244.1.3:8080,10.244.2.3:8080"
    external = {"192.0.2.77:80": both, "203.0.113.5:80": both}
    assert rows[""].columns["vips"] == {
        "10.96.0.9:80": both,
        "172.30.0.12:30080": both,
        "172.30.0.14:30080": both,
        "192.0.2.2:30080": both,
        "169.254.0.2:30080": both,
        "169.254.0.3:30080": both,
        **external,
    }
    assert rows["_gateway_gw"].columns["vips"] == {"192.0.2.2:30080": both, **external}
    assert rows["_gateway_gw"].parent == Parent("Logical_Router", "GR_gw", "load_balancer")
    assert not {"skip_snat", "neighbor_responder"} & set(rows["_gateway_gw"].columns["options"])
    assert set(rows) == {"", "_gateway_gw"}


def test_only_the_type_load_balancer_takes_addresses_from_the_status() -> None:
    rows = outside(Gateway("gw", ""), status={"ingress": [{"ip": "192.0.2.77"}]}, type="ClusterIP", externalIPs=[])
    assert "192.0.2.77:80" not in rows[""].columns["vips"]


def test_a_service_of_the_cluster_only_is_not_at_gateways() -> None:
    rows = outside(Gateway("gw", "192.0.2.2"), externalIPs=[], ports=[{"name": "http", "port": 80}])
    assert set(rows) == {""}
    assert rows[""].columns["vips"] == {"10.96.0.9:80": "10.244.1.3:8080,10.244.2.3:8080"}


def test_without_node_ports_there_is_no_balancer_at_a_gateway_for_the_protocol() -> None:
    ports = [{"name": "http", "port": 80, "nodePort": 30080}, {"name": "dns", "port": 53, "protocol": "UDP"}]
    rows = outside(Gateway("gw", "192.0.2.2"), externalIPs=[], ports=ports)
    assert set(rows) == {"", "_gateway_gw", "service_d_web_udp"}  # of the protocol with the node port only


def test_internal_policy_local_leaves_what_comes_from_outside_alone() -> None:
    rows = outside(internalTrafficPolicy="Local")
    both = "10.244.1.3:8080,10.244.2.3:8080"
    addresses = ("172.30.0.12:30080", "172.30.0.14:30080", "169.254.0.2:30080", "169.254.0.3:30080", "203.0.113.5:80")
    assert rows[""].columns["vips"] == dict.fromkeys(addresses, both)
    assert rows["_node_n1"].columns["vips"] == {"10.96.0.9:80": "10.244.1.3:8080"}


@pytest.mark.parametrize(
    ("gateway", "backends", "kept"),
    [
        (Gateway("gw", "192.0.2.2"), "10.244.1.3:8080,10.244.2.3:8080", True),
        (Gateway("n2", "192.0.2.2"), "10.244.2.3:8080", True),
        (Gateway("gw", "192.0.2.2", (IPv4Network("10.244.1.0/24"),)), "10.244.1.3:8080", True),
        (Gateway("gw", "192.0.2.2", ()), "10.244.1.3:8080,10.244.2.3:8080", False),
        (Gateway("gw", "192.0.2.2", (IPv4Network("10.244.9.0/24"),)), "10.244.1.3:8080,10.244.2.3:8080", False),
        (Gateway("n2", "192.0.2.2", (IPv4Network("10.244.1.0/24"),)), "10.244.1.3:8080", True),
    ],
)
def test_external_policy_local_keeps_the_source_where_answers_come_back(
    gateway: Gateway, backends: str, kept: bool
) -> None:
    rows = outside(gateway, externalTrafficPolicy="Local")
    row = rows[f"_gateway_{gateway.name}"]
    assert set(row.columns["vips"].values()) == {backends}
    assert (row.columns["options"].get("skip_snat") == "true") is kept
    assert set(rows[""].columns["vips"].values()) == {"10.244.1.3:8080,10.244.2.3:8080"}


def test_what_leads_to_a_node_is_asked_for_in_the_gateways_name() -> None:
    """A node answers the world by a way of its own."""
    document = service(**{**OUTSIDE, "externalTrafficPolicy": "Local"})
    around = Surroundings(("n1",), HOSTS, (Gateway("gw", "192.0.2.2"),))
    for address, kept in (("10.244.1.3", True), (HOSTS["n1"], False)):
        slices = [part(endpoint(address), ports=TARGET)]
        rows = {row.name: row for row in service_load_balancers(service_from_api(document), slices, around)}
        balancer = rows["service_d_web_tcp_gateway_gw"].columns
        assert set(balancer["vips"].values()) == {f"{address}:8080"}
        assert ("skip_snat" in balancer["options"]) is kept


def test_each_node_says_at_the_health_check_port_whether_it_has_a_ready_endpoint() -> None:
    document = service(**{**OUTSIDE, "externalTrafficPolicy": "Local", "healthCheckNodePort": 32000})
    around = Surroundings(("n1", "n2", "n3"), {"n1": "172.30.0.1", "n2": "172.30.0.2"})
    here, ending = Endpoint("10.244.1.3", "n1", True, True, False), Endpoint("10.244.2.3", "n2", False, True, True)
    rows = {
        row.name: row for row in service_rows(service_from_api(document), [part(here, ending, ports=TARGET)], around)
    }
    for node, answer in (("n1", "172.30.0.1:9411"), ("n2", "172.30.0.2:9412")):
        row = rows[f"service_d_web_tcp_health_{node}"]
        assert row.columns["vips"] == {"169.254.0.2:32000": answer, "169.254.0.3:32000": answer}
        assert row.parent == Parent("Logical_Switch", node, "load_balancer")
    assert "service_d_web_tcp_health_n3" not in rows


def guards(*ranges: str, taken: tuple[tuple[str, str, int], ...] = (), gateways: int = 1) -> list[Row]:
    """The ACLs of a service with a load balancer's addresses, one of IPv6, and one that is not."""
    ports = [{"port": 80}, {"port": 443, "name": "s"}, {"port": 53, "protocol": "UDP", "name": "dns"}]
    document = service(**{**OUTSIDE, "ports": ports, "loadBalancerSourceRanges": list(ranges)})
    document["status"] = {"loadBalancer": {"ingress": [{"ip": "192.0.2.77"}, {"ip": "2001:db8::1"}]}}
    around = Surroundings(gateways=tuple(Gateway(f"gw{number}", "192.0.2.2") for number in range(gateways)))
    rows = service_rows(service_from_api(document), (), around, taken=taken)
    return [row for row in rows if row.table == "ACL"]


def test_source_ranges_stop_others_where_they_come_in() -> None:
    there = "((ip4.dst == 192.0.2.77 && tcp.dst == {80, 443}) || (ip4.dst == 192.0.2.77 && udp.dst == {53}))"
    drop, allow = guards("198.51.100.7/24", "2001:db8::/32", "10.0.0.0/8")
    assert (drop.columns["action"], drop.columns["match"]) == ("drop", there)
    match = f"ip4.src == {{10.0.0.0/8, 198.51.100.0/24}} && {there}"
    assert (allow.columns["action"], allow.columns["match"]) == ("allow", match)
    assert allow.columns["priority"] > drop.columns["priority"]
    assert drop.parent == Parent("Logical_Switch", "ext_gw0", "acls")
    assert drop.owner == "service/d/web"


def test_without_ranges_nobody_is_stopped() -> None:
    assert guards() == []


@pytest.mark.parametrize("nobody", ["2001:db8::/32", "0377.0.0.0/8"])
def test_ranges_that_name_no_ipv4_network_let_nobody_in(nobody: str) -> None:
    assert [row.columns["action"] for row in guards(nobody)] == ["drop"]


def test_each_gateway_stops_them() -> None:
    assert len({row.name for row in guards("10.0.0.0/8", gateways=2)}) == 4


def test_what_another_service_has_is_left_to_it() -> None:
    taken = (("192.0.2.77", "TCP", 80), ("192.0.2.77", "UDP", 53))
    assert guards("2001:db8::/32", taken=taken)[0].columns["match"] == "((ip4.dst == 192.0.2.77 && tcp.dst == {443}))"
    document = service(**OUTSIDE)
    around = Surroundings(gateways=(Gateway("gw", "192.0.2.2"),))
    rows = service_load_balancers(service_from_api(document), (), around, taken=[("203.0.113.5", "TCP", 80)])
    assert {vip for row in rows for vip in row.columns["vips"]} == {"10.96.0.9:80", "192.0.2.2:30080"}


def test_external_policy_local_leads_from_a_node_to_its_own_endpoints_only() -> None:
    ports = [{"name": "http", "port": 80, "nodePort": 30080}, {"name": "none", "port": 81, "nodePort": 30081}]
    rows = outside(externalTrafficPolicy="Local", externalIPs=[], ports=ports)
    parent = Parent("Logical_Switch", "n1", "load_balancer")
    assert (rows["_node_n1"].parent, rows["_node_n1"].columns["options"]["reject"]) == (parent, "true")
    assert rows["_node_n1"].columns["vips"] == {"169.254.0.3:30080": "10.244.1.3:8080", "169.254.0.3:30081": ""}
    assert rows["_node_n2"].columns["vips"]["169.254.0.3:30080"] == "10.244.2.3:8080"
    assert rows[""].columns["vips"]["169.254.0.2:30080"] == "10.244.1.3:8080,10.244.2.3:8080"
    assert "169.254.0.3:30080" not in rows[""].columns["vips"]


def test_both_policies_local_share_a_row_for_each_node() -> None:
    rows = outside(externalTrafficPolicy="Local", internalTrafficPolicy="Local", externalIPs=[])
    vips = {"10.96.0.9:80": "10.244.1.3:8080", "169.254.0.3:30080": "10.244.1.3:8080"}
    assert rows["_node_n1"].columns["vips"] == vips


def test_what_has_no_endpoints_is_refused_in_the_name_of_who_was_asked() -> None:
    ports = [{"name": "http", "port": 80, "nodePort": 30080}, {"name": "none", "port": 81, "nodePort": 30081}]
    rows = outside(Gateway("gw", "192.0.2.2"), externalIPs=[], ports=ports)
    assert rows["_gateway_gw"].columns["vips"] == {"192.0.2.2:30080": "10.244.1.3:8080,10.244.2.3:8080"}
    assert "skip_snat" not in rows["_gateway_gw"].columns["options"]
    assert rows["_gateway_gw_refused"].columns["vips"] == {"192.0.2.2:30081": ""}
    assert rows["_gateway_gw_refused"].columns["options"]["skip_snat"] == "true"


def test_one_of_several_gateways_has_an_address_of_their_network() -> None:
    other = Gateway("b", "192.0.2.3", (), (IPv4Network("192.0.2.0/24"),))
    rows = outside(Gateway("a", "192.0.2.2", ()), other, externalIPs=["192.0.2.77", "203.0.113.5"])
    assert set(rows["_gateway_a"].columns["vips"]) == {"192.0.2.2:30080", "192.0.2.77:80", "203.0.113.5:80"}
    assert set(rows["_gateway_b"].columns["vips"]) == {"192.0.2.3:30080", "203.0.113.5:80"}


def test_connections_of_datagrams_end_with_their_endpoint() -> None:
    given = Service("d", "web", ("10.96.0.9",), (HTTP, ServicePort("dns", "UDP", 53)))
    tcp, udp = service_load_balancers(given, ())
    assert udp.columns["options"]["ct_flush"] == "true"
    assert "ct_flush" not in tcp.columns["options"]


def test_families_of_external_addresses() -> None:
    rows = outside(Gateway("gw", "192.0.2.2"), externalIPs=["2001:db8::5"])
    assert rows[""].columns["vips"]["[2001:db8::5]:80"] == ""


def test_the_surroundings_are_read_from_the_rows_of_nodes_and_gateways() -> None:
    ids_type = {"type": {"key": "string", "value": "string", "min": 0, "max": "unlimited"}}
    tables: dict[str, Any] = {name: {"columns": {"external_ids": ids_type}, "isRoot": True} for name in TABLES}
    tables["Logical_Router_Port"]["columns"]["name"] = {"type": "string"}
    database = Database(parse_schema({"name": "OVN_Northbound", "version": "7.0.0", "tables": tables}))

    def put(table: str, owner: str, **columns: Any) -> None:
        ids = {**columns.pop("external_ids", {}), "ovn-k8s-owner": owner}
        database.put(table, str(database.count(table)), {"external_ids": ids, **columns})

    put("Logical_Switch", "node/n1", name="n1", other_config={"subnet": "10.244.1.0/24"})
    put("Logical_Switch", "cluster", name="join", other_config={})
    put("Logical_Router", "cluster", name="master")
    for name in ("gw2", "gw1"):
        put("Logical_Router", f"gateway/{name}", name=f"GR_{name}", external_ids={"physical_ip": "192.0.2.2"})
        put("Logical_Router_Port", f"gateway/{name}", name=f"rtoe-GR_{name}", networks=frozenset({"192.0.2.2/24"}))
    for owner, name, prefix, policy in (
        ("node/n1", "node/n1/address", "172.30.0.12/32", None),
        ("node/n1", "node/n1/other", "172.30.9.9/32", None),
        ("gateway/gw1", "gateway/gw1/source/10.244.1.0/24", "10.244.1.0/24", "src-ip"),
        ("gateway/gw1", "gateway/gw1/egress", "0.0.0.0/0", None),
    ):
        ids = {"ovn-k8s-id": name}
        put("Logical_Router_Static_Route", owner, ip_prefix=prefix, policy=policy, external_ids=ids)
    assert surroundings(database) == Surroundings(
        ("n1",),
        {"n1": "172.30.0.12"},
        (
            Gateway("gw1", "192.0.2.2", (IPv4Network("10.244.1.0/24"),)),
            Gateway("gw2", "192.0.2.2", (), (IPv4Network("192.0.2.0/24"),)),
        ),
    )


def test_what_is_outside() -> None:
    assert not is_outside(Service("d", "web", ("10.96.0.9",), (HTTP,)))
    assert is_outside(Service("d", "web", ("10.96.0.9",), (HTTP._replace(node_port=30080),)))
    assert is_outside(Service("d", "web", ("10.96.0.9",), (HTTP,), external_ips=("203.0.113.5",)))
