# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""The rows that services want on the router of a gateway with a shared NIC: through the helper's flows and back.

The pod is on the gateway itself, so that every step is in one datapath. The userspace one gives up after a few lookups
of the connection table ("max recirculation depth exceeded"): a node port whose source is replaced takes one too many
here, and a reset that OVN makes for a node port is lost in its own first lookup. So these two are asked for at another
address.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import rig
from small_ovn import eventually, run
from traffic import Traffic

from ovn_k8s.core.plan import plan
from ovn_k8s.core.service_rows import service_load_balancers, service_owner, surroundings
from ovn_k8s.core.services import Endpoint, EndpointSlice, ServicePort, service_from_api
from ovn_k8s.ovsdb.client import Client
from ovn_k8s.ovsdb.remote import parse_remotes

ADDRESS = str(rig.ADDRESS.ip)
NODE_PORT = 31080
IN_SUBNET = "192.0.2.99"
PROTOCOLS = ("TCP", "UDP")


def write(gateway: rig.Gateway, *endpoints: str, **spec: Any) -> None:
    """The service as described; none without a description."""
    rows: tuple[Any, ...] = ()
    with Client(parse_remotes(f"unix:{gateway.ovn.northbound}"), "OVN_Northbound") as client:
        database = client.snapshot()
        if spec:
            ports = [{"name": name, "protocol": name, "port": 80, "nodePort": NODE_PORT} for name in PROTOCOLS]
            document = {"metadata": {"namespace": "d", "name": "web"}, "spec": {**spec, "ports": ports}}
            targets = tuple(ServicePort(name, name, 9002) for name in PROTOCOLS)
            made = tuple(Endpoint(address, "gw", True, True, False) for address in endpoints)
            part = EndpointSlice("d", "web-1", "web", "IPv4", targets, made)
            rows = service_load_balancers(service_from_api(document), [part], surroundings(database))
        client.commit(plan(rows, database, owners=[service_owner("d", "web")]))
    gateway.ovn.nbctl("--wait=hv", "sync")


SPEC = {"clusterIP": "10.96.0.77", "externalIPs": [IN_SUBNET], "type": "NodePort"}


@pytest.fixture
def service(gateway: rig.Gateway) -> Iterator[None]:
    """Nothing is left."""
    yield
    write(gateway)


def test_a_new_address_is_announced(gateway: rig.Gateway, helper: rig.Helper, service: None) -> None:
    """To a neighbour who knows it by another MAC address and does not ask again."""

    def neighbour(*words: str) -> str:
        return run("ip", "-n", gateway.internet, "neighbour", *words)

    neighbour("replace", IN_SUBNET, "lladdr", "02:00:00:00:09:99", "dev", "net0", "nud", "stale")
    write(gateway, rig.POD, **SPEC)
    eventually(lambda: rig.MAC in neighbour("show", IN_SUBNET), "the neighbour has heard of it")


@pytest.mark.parametrize("protocol", ["tcp", "udp"])
def test_external_traffic_policy(helper: rig.Helper, traffic: Traffic, service: None, protocol: str) -> None:
    """With Local the pod sees who asks, and the answer finds its way; else it sees the gateway."""
    write(traffic.gateway, rig.POD, **SPEC, externalTrafficPolicy="Cluster")
    assert traffic.eventually(traffic.internet, protocol, IN_SUBNET, 80).address == "100.64.0.2"
    write(traffic.gateway, rig.POD, **SPEC, externalTrafficPolicy="Local")
    for address, port in ((ADDRESS, NODE_PORT), (IN_SUBNET, 80)):
        assert traffic.eventually(traffic.internet, protocol, address, port).address == str(rig.NEXTHOP)


@pytest.mark.parametrize("policy", ["Cluster", "Local"])
def test_without_endpoints_the_world_is_refused(
    helper: rig.Helper, traffic: Traffic, service: None, policy: str
) -> None:
    write(traffic.gateway, **SPEC, externalTrafficPolicy=policy)
    eventually(
        lambda: "Refused" in traffic.ask(traffic.internet, "tcp", IN_SUBNET, 80).error, "the address refuses at once"
    )


@pytest.mark.parametrize("protocol", ["tcp", "udp"])
def test_the_pod_reaches_itself_through_the_gateway_s_address(
    helper: rig.Helper, traffic: Traffic, service: None, protocol: str
) -> None:
    write(traffic.gateway, rig.POD, **SPEC)
    for address, port in (("10.96.0.77", 80), (ADDRESS, NODE_PORT), (IN_SUBNET, 80)):
        assert traffic.eventually(traffic.pod, protocol, address, port).address == "169.254.0.5"
