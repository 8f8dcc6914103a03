# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""The kube-proxy stand-in: which load balancers services ask for, what HNS gets, and the rules that come of it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from lab.windows.hcn_dataplane import balancers as rules
from lab.windows.hcn_emulator import Emulator
from lab.windows.hcn_model import REMOTE_ENDPOINT, Model, State
from lab.windows.kube_proxy import Balancer, KubeProxy, Settings, balancers
from lab.windows.kubelet.api import Access

NETWORK = "11111111-1111-1111-1111-111111111111"


def service(name: str = "web", **spec: Any) -> dict[str, Any]:
    ports = [{"name": "http", "port": 80, "protocol": "TCP"}, {"name": "dns", "port": 53, "protocol": "UDP"}]
    return {"metadata": {"namespace": "a", "name": name}, "spec": {"clusterIP": "10.96.0.9", "ports": ports, **spec}}


def endpoints(*addresses: str, port: int = 8080, ready: bool = True) -> dict[str, Any]:
    return {
        "metadata": {"namespace": "a", "name": "web-1", "labels": {"kubernetes.io/service-name": "web"}},
        "addressType": "IPv4",
        "ports": [{"name": "http", "port": port, "protocol": "TCP"}],
        "endpoints": [{"addresses": [address], "conditions": {"ready": ready}} for address in addresses],
    }


def test_a_port_with_backends_is_a_load_balancer() -> None:
    found = list(balancers([service()], [endpoints("10.244.1.3"), endpoints("10.244.4.3")]))
    assert found == [Balancer("10.96.0.9", 6, 80, 8080, frozenset({"10.244.1.3", "10.244.4.3"}))]
    vips = [one.vip for one in balancers([service(externalIPs=["192.0.2.9"])], [endpoints("10.244.1.3")])]
    assert vips == ["10.96.0.9", "192.0.2.9"]


@pytest.mark.parametrize(
    ("services", "slices"),
    [
        ([service()], []),
        ([service()], [endpoints("10.244.1.3", ready=False)]),
        ([service(clusterIP="None")], [endpoints("10.244.1.3")]),
        ([service("other")], [endpoints("10.244.1.3")]),
    ],
)
def test_nothing_to_balance(services: list[dict[str, Any]], slices: list[dict[str, Any]]) -> None:
    assert list(balancers(services, slices)) == []


@pytest.fixture
def emulator() -> Iterator[Emulator]:
    remote = {
        "DestinationPrefix": "10.244.1.0/24",
        "ProviderAddress": "172.30.0.12",
        "IsolationId": 4097,
        "DistributedRouterMacAddress": "0a-58-0a-f4-01-01",
    }
    network = {
        "ID": NETWORK,
        "Name": "overlay",
        "Type": "Overlay",
        "Ipams": [{"Subnets": [{"IpAddressPrefix": "10.244.4.0/24", "Routes": [{"NextHop": "10.244.4.1"}]}]}],
        "Policies": [{"Type": "RemoteSubnetRoute", "Settings": remote}],
    }
    model = Model(None, State(adapters={"Ethernet": "172.30.0.15"}))
    model.state.networks[NETWORK] = network
    with Emulator(model) as running:
        yield running


def proxy(emulator: Emulator) -> KubeProxy:
    access = Access("https://127.0.0.1:1", "/none", "/none", "/none")
    return KubeProxy(Settings(access, "overlay", "10.244.4.2", True), emulator)


def test_hns_gets_remote_endpoints_and_load_balancers_and_loses_them_again(emulator: Emulator) -> None:
    made, state = proxy(emulator), emulator.model.state
    one = Balancer("10.96.0.9", 6, 80, 8080, frozenset({"10.244.1.3"}))
    two = Balancer("10.96.0.1", 6, 443, 6443, frozenset({"172.30.0.11"}))
    made._converge({one, two})
    remote = {end["IpConfigurations"][0]["IpAddress"]: end for end in state.endpoints.values()}
    assert {address: end["Flags"] for address, end in remote.items()} == {
        "10.244.1.3": REMOTE_ENDPOINT,
        "172.30.0.11": REMOTE_ENDPOINT,
    }
    assert remote["10.244.1.3"]["Policies"][0]["Settings"] == {"ProviderAddress": "172.30.0.12"}
    assert remote["10.244.1.3"]["MacAddress"] == "02-11-0A-F4-01-03"
    assert {balancer["SourceVIP"] for balancer in state.load_balancers.values()} == {"10.244.4.2"}
    assert rules(state.load_balancers, state.endpoints).splitlines() == [
        "ip daddr 10.96.0.1 tcp dport 443 dnat to numgen random mod 1 map { 0 : 172.30.0.11 }:6443",
        "ip daddr 10.96.0.9 tcp dport 80 dnat to numgen random mod 1 map { 0 : 10.244.1.3 }:8080",
    ]
    before = dict(state.load_balancers)
    made._converge({one, two})
    assert state.load_balancers == before
    made._converge({two})
    assert [b["FrontendVIPs"] for b in state.load_balancers.values()] == [["10.96.0.1"]]
    assert len(state.endpoints) == 1
    assert emulator.model.handles == {}


def test_what_hns_has_forgotten_is_made_again(emulator: Emulator) -> None:
    made, state = proxy(emulator), emulator.model.state
    one = Balancer("10.96.0.9", 6, 80, 8080, frozenset({"10.244.1.3"}))
    made._converge({one})
    state.endpoints.clear()
    state.load_balancers.clear()
    made._converge({one})
    assert len(state.endpoints) == len(state.load_balancers) == 1


def test_a_pod_of_this_machine_that_is_gone_gets_no_remote_endpoint(emulator: Emulator) -> None:
    made, state = proxy(emulator), emulator.model.state
    made._converge({Balancer("10.96.0.9", 6, 80, 8080, frozenset({"10.244.4.3"}))})
    assert not state.endpoints and not state.load_balancers
