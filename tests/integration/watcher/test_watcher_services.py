# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""Services of a real API server become load balancers of a real northbound database."""

from __future__ import annotations

from ipaddress import IPv4Interface, IPv4Network

from control_plane import Objects, eventually, slice_document
from watcher_world import World

from ovn_k8s.core.layout import TABLES as LAYOUT_TABLES
from ovn_k8s.core.layout import Request, WantedGateway, lay_out

HTTP = {"name": "http", "port": 80, "targetPort": 8080, "protocol": "TCP"}
DNS = {"name": "dns", "port": 53, "protocol": "UDP"}


def wait_for(world: World, name: str, protocol: str, vips: dict[str, str] | None) -> None:
    """Wait until a load balancer of the test's namespace has these virtual addresses; None: until it is gone."""
    key = f"service_{world.objects.namespace}_{name}_{protocol}"
    for last in eventually():
        row = world.nb.balancers().get(key)
        if (dict(row.columns["vips"]) if row else None) == vips:
            return
        assert not last, f"{key}: {row.columns['vips'] if row else None}, wanted {vips}"


def test_a_service_follows_its_endpoints(world: World) -> None:
    world.watcher.start()
    address = world.objects.service("web", [HTTP, DNS])
    wait_for(world, "web", "tcp", {f"{address}:80": ""})
    wait_for(world, "web", "udp", {f"{address}:53": ""})
    ports = [{"name": "http", "port": 8080, "protocol": "TCP"}, {"name": "dns", "port": 5353, "protocol": "UDP"}]
    world.objects.endpoint_slice("web-1", "web", ports, ["10.244.2.9", "10.244.1.10"], ["10.244.1.11"])
    wait_for(world, "web", "tcp", {f"{address}:80": "10.244.1.10:8080,10.244.2.9:8080"})
    wait_for(world, "web", "udp", {f"{address}:53": "10.244.1.10:5353,10.244.2.9:5353"})
    world.objects.endpoint_slice("web-2", "web", [{**ports[0], "port": 9090}], ["10.244.1.12"])
    wait_for(world, "web", "tcp", {f"{address}:80": "10.244.1.10:8080,10.244.1.12:9090,10.244.2.9:8080"})
    world.objects.delete("endpointslices", "web-1")
    wait_for(world, "web", "tcp", {f"{address}:80": "10.244.1.12:9090"})
    wait_for(world, "web", "udp", {f"{address}:53": ""})
    world.objects.delete("services", "web")
    wait_for(world, "web", "tcp", None)
    wait_for(world, "web", "udp", None)


def test_a_load_balancer_refuses_when_empty_and_is_in_the_group(world: World) -> None:
    world.watcher.start()
    address = world.objects.service("web", [HTTP])
    wait_for(world, "web", "tcp", {f"{address}:80": ""})
    database = world.nb.snapshot()
    row = world.nb.balancers()[f"service_{world.objects.namespace}_web_tcp"]
    assert row.columns["options"] == {"reject": "true", "hairpin_snat_ip": "169.254.0.5"}
    assert row.columns["protocol"] == "tcp"
    assert row.owner == f"service/{world.objects.namespace}/web"
    group = database.find("Load_Balancer_Group", "clusterLBGroup")
    assert group is not None
    assert row.uuid in group.columns["load_balancer"]
    switch = database.find("Logical_Switch", "linux1")
    assert switch is not None
    assert group.uuid in switch.columns["load_balancer_group"]


def test_ports_can_be_added_changed_and_removed(world: World) -> None:
    world.watcher.start()
    address = world.objects.service("web", [HTTP])
    wait_for(world, "web", "tcp", {f"{address}:80": ""})
    path = world.objects.path("services", "web")
    world.objects.api.merge_patch(path, {"spec": {"ports": [{**HTTP, "port": 81}, DNS]}})
    wait_for(world, "web", "tcp", {f"{address}:81": ""})
    wait_for(world, "web", "udp", {f"{address}:53": ""})
    world.objects.api.merge_patch(path, {"spec": {"ports": [DNS]}})
    wait_for(world, "web", "tcp", None)


def test_headless_and_external_name_have_no_load_balancer(world: World) -> None:
    world.watcher.start()
    world.objects.service("headless", [HTTP], clusterIP="None")
    world.objects.service("elsewhere", [], type="ExternalName", externalName="example.com")
    address = world.objects.service("plain", [HTTP])
    wait_for(world, "plain", "tcp", {f"{address}:80": ""})
    assert [name for name in world.nb.balancers() if "headless" in name or "elsewhere" in name] == []


def test_the_service_of_the_api_server(world: World) -> None:
    default = Objects(world.plane.api, "default")
    default.api.create(
        default.path("endpointslices"),
        slice_document(
            "kubernetes", "kubernetes", [{"name": "https", "port": 6443, "protocol": "TCP"}], ["172.30.0.11"]
        ),
    )
    try:
        world.watcher.start()
        row = world.nb.balancers()["service_default_kubernetes_tcp"]
        assert row.columns["vips"] == {"10.96.0.1:443": "172.30.0.11:6443"}
    finally:
        default.delete("endpointslices", "kubernetes")


def test_without_the_group_services_wait_for_it(world: World) -> None:
    with world.nb.client() as client:
        everything: list[object] = []
        client.transact(
            [
                {
                    "op": "update",
                    "table": "Logical_Switch",
                    "where": everything,
                    "row": {"load_balancer_group": ["set", []]},
                },
                {"op": "delete", "table": "Load_Balancer_Group", "where": everything},
            ]
        )
    address = world.objects.service("web", [HTTP])
    world.watcher.start()
    assert world.nb.balancers() == {}
    assert "no Load_Balancer_Group" in world.watcher.log.read_text()
    world.nb.add_cluster(linux1="10.244.1.0/24", linux2="10.244.2.0/24")
    wait_for(world, "web", "tcp", {f"{address}:80": ""})


def test_a_load_balancer_that_left_the_group_comes_back(world: World) -> None:
    address = world.objects.service("web", [HTTP])
    world.watcher.start()
    wait_for(world, "web", "tcp", {f"{address}:80": ""})
    uuid = world.nb.balancers()[f"service_{world.objects.namespace}_web_tcp"].uuid
    with world.nb.client() as client:
        client.transact(
            [
                {
                    "op": "mutate",
                    "table": "Load_Balancer_Group",
                    "where": [],
                    "mutations": [["load_balancer", "delete", ["uuid", uuid]]],
                }
            ]
        )
    for last in eventually():
        group = world.nb.snapshot().find("Load_Balancer_Group", "clusterLBGroup")
        if group is not None and uuid in group.columns["load_balancer"]:
            break
        assert not last


def test_session_affinity_comes_and_goes_with_its_timeout(world: World) -> None:
    address = world.objects.service("web", [HTTP], sessionAffinity="ClientIP")
    world.watcher.start()
    wait_for(world, "web", "tcp", {f"{address}:80": ""})
    name = f"service_{world.objects.namespace}_web_tcp"
    path = world.objects.path("services", "web")
    for change, timeout in (
        ({}, "10800"),
        ({"sessionAffinityConfig": {"clientIP": {"timeoutSeconds": 60}}}, "60"),
        ({"sessionAffinity": "None", "sessionAffinityConfig": None}, None),
    ):
        world.objects.api.merge_patch(path, {"spec": change})
        for last in eventually():
            if world.nb.balancers()[name].columns["options"].get("affinity_timeout") == timeout:
                break
            assert not last, world.nb.balancers()[name].columns["options"]


def test_internal_traffic_policy_local(world: World) -> None:
    world.watcher.start()
    address = world.objects.service("web", [HTTP], internalTrafficPolicy="Local")
    document = slice_document("web-1", "web", [{"name": "http", "port": 8080}], ["10.244.1.9", "10.244.2.9"])
    for number, endpoint in enumerate(document["endpoints"], 1):
        endpoint["nodeName"] = f"linux{number}"
    world.objects.api.create(world.objects.path("endpointslices"), document)
    wait_for(world, "web", "tcp_node_linux1", {f"{address}:80": "10.244.1.9:8080"})
    wait_for(world, "web", "tcp_node_linux2", {f"{address}:80": "10.244.2.9:8080"})
    wait_for(world, "web", "tcp", None)
    database = world.nb.snapshot()
    for node in ("linux1", "linux2"):
        switch = database.find("Logical_Switch", node)
        assert switch is not None
        rows = [database.get("Load_Balancer", uuid) for uuid in switch.columns["load_balancer"]]
        assert {row.columns["name"] for row in rows if row} == {
            f"service_{world.objects.namespace}_web_tcp_node_{node}"
        }
    world.nb.add_cluster(linux1="10.244.1.0/24", linux2="10.244.2.0/24", linux3="10.244.3.0/24")
    wait_for(world, "web", "tcp_node_linux3", {f"{address}:80": ""})
    with world.nb.client() as client:
        where = [["name", "==", "linux1"]]
        client.transact(
            [{"op": "update", "table": "Logical_Switch", "where": where, "row": {"load_balancer": ["set", []]}}]
        )
    for last in eventually():
        switch = world.nb.snapshot().find("Logical_Switch", "linux1")
        if switch is not None and len(switch.columns["load_balancer"]) == 1:
            break
        assert not last
    world.objects.api.merge_patch(world.objects.path("services", "web"), {"spec": {"internalTrafficPolicy": "Cluster"}})
    wait_for(world, "web", "tcp", {f"{address}:80": "10.244.1.9:8080,10.244.2.9:8080"})
    for node in ("linux1", "linux2", "linux3"):
        wait_for(world, "web", f"tcp_node_{node}", None)
    assert world.watcher.run("--check").stdout == ""


def test_ending_endpoints_serve_until_others_are_ready(world: World) -> None:
    world.watcher.start()
    address = world.objects.service("web", [HTTP])
    document = slice_document("web-1", "web", [{"name": "http", "port": 8080}], ["10.244.1.9"])
    document["endpoints"][0]["conditions"] = {"ready": False, "serving": True, "terminating": True}
    world.objects.api.create(world.objects.path("endpointslices"), document)
    wait_for(world, "web", "tcp", {f"{address}:80": "10.244.1.9:8080"})
    world.objects.endpoint_slice("web-2", "web", [{"name": "http", "port": 8081}], ["10.244.1.10"])
    wait_for(world, "web", "tcp", {f"{address}:80": "10.244.1.10:8081"})
    world.objects.delete("endpointslices", "web-2")
    document["endpoints"][0]["conditions"]["serving"] = False
    world.objects.api.merge_patch(world.objects.path("endpointslices", "web-1"), {"endpoints": document["endpoints"]})
    wait_for(world, "web", "tcp", {f"{address}:80": ""})


def test_sctp_and_a_service_without_selector(world: World) -> None:
    world.watcher.start()
    address = world.objects.service("outside", [{"name": "s", "port": 9, "protocol": "SCTP"}])
    world.objects.endpoint_slice(
        "outside-1", "outside", [{"name": "s", "port": 99, "protocol": "SCTP"}], ["198.51.100.1"]
    )
    wait_for(world, "outside", "sctp", {f"{address}:9": "198.51.100.1:99"})


def gateways(world: World, **addresses: str) -> None:
    """The rows of these gateways, as the master's set-up makes them; no others."""
    wanted = [
        WantedGateway(name, name, "ext0", IPv4Interface(address), None, f"02:00:00:00:00:{number:02x}")
        for number, (name, address) in enumerate(addresses.items())
    ]
    absent = [name for name in ("gw1", "gw2") if name not in addresses]
    networks = IPv4Network("10.244.0.0/16"), 24, IPv4Network("100.64.0.0/16")
    request = Request("master", *networks, gateways=wanted, absent_gateways=absent)
    with world.nb.client() as client:
        client.converge(LAYOUT_TABLES, lambda database: lay_out(request, database).plan)


def test_what_is_outside_follows_gateways_and_nodes(world: World) -> None:
    world.watcher.start()
    address = world.objects.service("web", [HTTP], type="NodePort", externalIPs=["203.0.113.5"])
    world.objects.endpoint_slice("web-1", "web", [{"name": "http", "port": 8080}], ["10.244.1.9"])
    port = world.objects.get("services", "web")["spec"]["ports"][0]["nodePort"]
    backend = "10.244.1.9:8080"
    at_nodes = ("172.30.0.11", "172.30.0.12", "169.254.0.2", "169.254.0.3")
    nodes = (f"{address}:80", "203.0.113.5:80", *(f"{node}:{port}" for node in at_nodes))
    wait_for(world, "web", "tcp", dict.fromkeys(nodes, backend))
    gateways(world, gw1="192.0.2.2/24")
    wait_for(world, "web", "tcp", dict.fromkeys((*nodes, f"192.0.2.2:{port}"), backend))
    wait_for(world, "web", "tcp_gateway_gw1", {f"192.0.2.2:{port}": backend, "203.0.113.5:80": backend})
    gateways(world, gw1="192.0.2.9/24", gw2="192.0.2.3/24")
    wait_for(world, "web", "tcp_gateway_gw1", {f"192.0.2.9:{port}": backend, "203.0.113.5:80": backend})
    wait_for(world, "web", "tcp_gateway_gw2", {f"192.0.2.3:{port}": backend, "203.0.113.5:80": backend})
    wait_for(world, "web", "tcp", dict.fromkeys((*nodes, f"192.0.2.9:{port}", f"192.0.2.3:{port}"), backend))
    uuid = world.nb.balancers()[f"service_{world.objects.namespace}_web_tcp_gateway_gw1"].uuid
    with world.nb.client() as client:
        where = [["name", "==", "GR_gw1"]]
        client.transact(
            [{"op": "update", "table": "Logical_Router", "where": where, "row": {"load_balancer": ["set", []]}}]
        )
    for last in eventually():
        with world.nb.client() as client:
            router = client.snapshot(["Logical_Router"]).find("Logical_Router", "GR_gw1")
        if router is not None and uuid in router.columns["load_balancer"]:
            break
        assert not last
    gateways(world)
    wait_for(world, "web", "tcp_gateway_gw1", None)
    wait_for(world, "web", "tcp_gateway_gw2", None)
    world.nb.add_cluster(linux1="10.244.1.0/24", linux2="10.244.2.0/24", linux3="10.244.3.0/24")
    wait_for(world, "web", "tcp", dict.fromkeys((*nodes, f"172.30.0.13:{port}"), backend))
    world.objects.delete("endpointslices", "web-1")
    wait_for(world, "web", "tcp", dict.fromkeys((*nodes, f"172.30.0.13:{port}"), ""))
    world.objects.api.merge_patch(
        world.objects.path("services", "web"), {"spec": {"type": "ClusterIP", "externalIPs": None}}
    )
    wait_for(world, "web", "tcp", {f"{address}:80": ""})
    assert world.watcher.run("--check").stdout == ""
