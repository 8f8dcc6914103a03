# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""Who gets which subnet and join address, and what changes, on a real northbound database."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from ipaddress import IPv4Address, IPv4Interface, IPv4Network

import pytest

from ovn_k8s.core.addresses import AddressError
from ovn_k8s.core.errors import InvalidValue, OwnershipConflict
from ovn_k8s.core.layout import TABLES, Layout, Request, WantedGateway, WantedNode, lay_out, stored_subnets
from ovn_k8s.ovsdb.client import Client
from ovn_k8s.ovsdb.errors import Stale
from ovn_k8s.ovsdb.remote import parse_remotes

CLUSTER = IPv4Network("10.244.0.0/16")
JOIN = IPv4Network("100.64.0.0/16")


@pytest.fixture
def northbound(nb_server) -> Iterator[Client]:
    with Client(parse_remotes(nb_server.remote), "OVN_Northbound") as client:
        yield client


def converge(client: Client, wanted: Request) -> Layout:
    """Lay the network out for real; the layout that was carried out."""
    layouts: list[Layout] = []

    def make_plan(database):
        layouts.append(lay_out(wanted, database))
        return layouts[-1].plan

    client.converge(TABLES, make_plan)
    return layouts[-1]


def wanted(name: str, host: int, subnet: str | None = None) -> WantedNode:
    return WantedNode(name, IPv4Address(f"172.30.0.{host}"), IPv4Network(subnet) if subnet else None)


def gateway(name: str = "gw") -> WantedGateway:
    return WantedGateway(
        name, name, "ext0", IPv4Interface("192.0.2.2/24"), IPv4Address("192.0.2.1"), "02:00:00:00:00:01"
    )


def request(*nodes: WantedNode, **more: object) -> Request:
    return Request("master", CLUSTER, 24, JOIN, nodes, **more)  # type: ignore[arg-type]


def snapshot(client: Client):
    return client.snapshot(TABLES)


def test_a_gateway_routes_out_and_translates_once(northbound: Client) -> None:
    wish = request(wanted("master", 11), gateways=[gateway()])
    assert converge(northbound, wish).plan
    for _ in range(10):
        assert not converge(northbound, wish).plan
    database = snapshot(northbound)
    assert database.count("NAT") == 1
    nat = next(database.rows("NAT")).columns
    assert (nat["type"], nat["logical_ip"], nat["external_ip"]) == ("snat", "10.244.0.0/16", "192.0.2.2")
    default = database.find("Logical_Router_Static_Route", "gateway/gw/default")
    assert default and default.columns["output_port"] == "rtoe-GR_gw"


def test_subnets_stay_with_their_nodes_when_others_come_and_go(northbound: Client) -> None:
    first = converge(northbound, request(wanted("a", 1), wanted("b", 2), wanted("c", 3)))
    assert {name: str(net) for name, net in first.subnets.items()} == {
        "a": "10.244.0.0/24",
        "b": "10.244.1.0/24",
        "c": "10.244.2.0/24",
    }
    second = converge(northbound, request(wanted("d", 4), wanted("c", 3), absent_nodes=["b"]))
    assert str(second.subnets["c"]) == "10.244.2.0/24"
    assert str(second.subnets["d"]) == "10.244.1.0/24"
    assert sorted(stored_subnets(snapshot(northbound))) == ["a", "c", "d"]


def test_nodes_that_are_not_named_stay(northbound: Client) -> None:
    converge(northbound, request(wanted("a", 1), wanted("b", 2)))
    assert not converge(northbound, request(wanted("b", 2))).plan


def test_the_router_keeps_its_name_when_another_master_comes_first(northbound: Client) -> None:
    converge(northbound, request(wanted("a", 1)))
    assert not converge(northbound, Request("other", CLUSTER, 24, JOIN, [wanted("a", 1)])).plan


def test_a_second_gateway_gets_the_next_join_address(northbound: Client) -> None:
    converge(northbound, request(gateways=[gateway("g1")]))
    converge(northbound, request(gateways=[gateway("g2")]))
    ports = snapshot(northbound).rows("Logical_Router_Port")
    networks = {row.columns["name"]: min(row.columns["networks"]) for row in ports}
    assert networks["rtoj-GR_g1"] == "100.64.0.2/16"
    assert networks["rtoj-GR_g2"] == "100.64.0.3/16"


def test_a_changed_node_address_moves_the_route(northbound: Client) -> None:
    converge(northbound, request(wanted("a", 1)))
    converge(northbound, request(wanted("a", 9)))
    routes = snapshot(northbound).rows("Logical_Router_Static_Route")
    assert [row.columns["ip_prefix"] for row in routes if row.columns["nexthop"] != "discard"] == ["172.30.0.9/32"]


def test_two_runs_at_once_do_not_give_one_subnet_twice(northbound: Client, nb_server) -> None:
    converge(northbound, request(wanted("a", 1)))
    with Client(parse_remotes(nb_server.remote), "OVN_Northbound") as other:
        slow = lay_out(request(wanted("b", 2)), snapshot(northbound))
        converge(other, request(wanted("c", 3)))
        with pytest.raises(Stale):
            northbound.commit(slow.plan)
    assert str(converge(northbound, request(wanted("b", 2))).subnets["b"]) == "10.244.2.0/24"


@pytest.mark.parametrize(
    ("node", "message"),
    [
        (wanted("a", 1, "10.244.7.0/24"), "keeps it for life"),
        (wanted("b", 2, "10.244.0.0/24"), "overlaps"),
        (wanted("b", 2, "10.9.0.0/24"), "outside"),
    ],
)
def test_subnets_that_cannot_be_had(northbound: Client, node: WantedNode, message: str) -> None:
    converge(northbound, request(wanted("a", 1)))
    with pytest.raises(AddressError, match=message):
        converge(northbound, request(node))


def test_another_cluster_network_is_refused_while_nodes_are_there(northbound: Client) -> None:
    converge(northbound, request(wanted("a", 1)))
    with pytest.raises(AddressError, match="not in the cluster network"):
        converge(northbound, Request("master", IPv4Network("10.9.0.0/16"), 24, JOIN, [wanted("b", 2)]))


def insert(client: Client, table: str, **row: object) -> None:
    client.transact([{"op": "insert", "table": table, "row": row}])


def test_two_marked_routers_are_an_error(northbound: Client) -> None:
    for name in ("x", "y"):
        insert(northbound, "Logical_Router", name=name, external_ids=["map", [["k8s-cluster-router", "yes"]]])
    with pytest.raises(InvalidValue, match="2 routers are marked"):
        converge(northbound, request(wanted("a", 1)))


def test_a_switch_of_somebody_else_is_left_alone(northbound: Client) -> None:
    insert(northbound, "Logical_Switch", name="a")
    with pytest.raises(OwnershipConflict, match="belongs to 'nobody"):
        converge(northbound, request(wanted("a", 1)))


def routes_out(database) -> set[str]:
    """The next hops of the cluster router's default routes."""
    rows = database.rows("Logical_Router_Static_Route")
    return {row.columns["nexthop"] for row in rows if row.columns["external_ids"]["ovn-k8s-id"].startswith("exit/")}


def test_a_gateway_that_is_removed_leaves_nothing(northbound: Client) -> None:
    converge(northbound, request(wanted("master", 11), gateways=[gateway("a"), gateway("b")]))
    assert routes_out(snapshot(northbound)) == {"100.64.0.2", "100.64.0.3"}
    converge(northbound, request(absent_gateways=["b"]))
    database = snapshot(northbound)
    assert routes_out(database) == {"100.64.0.2"}
    assert not [row for table in TABLES for row in database.rows(table) if row.owner == "gateway/b"]
    converge(northbound, request(absent_gateways=["a"]))
    assert routes_out(snapshot(northbound)) == set()


def test_networks_that_leave_by_one_gateway_only(northbound: Client) -> None:
    networks = (IPv4Network("10.244.7.0/24"), IPv4Network("10.244.8.0/24"))
    converge(northbound, request(gateways=[dataclasses.replace(gateway(), source_networks=networks)]))
    found = [
        (row.columns["ip_prefix"], row.columns["nexthop"])
        for row in snapshot(northbound).rows("Logical_Router_Static_Route")
        if row.columns["policy"] == "src-ip"
    ]
    assert sorted(found) == [("10.244.7.0/24", "100.64.0.2"), ("10.244.8.0/24", "100.64.0.2")]
    converge(northbound, request(gateways=[gateway()]))
    assert not [
        row for row in snapshot(northbound).rows("Logical_Router_Static_Route") if row.columns["policy"] == "src-ip"
    ]


def test_a_gateway_follows_its_address(northbound: Client) -> None:
    converge(northbound, request(gateways=[gateway()]))
    converge(northbound, request(gateways=[dataclasses.replace(gateway(), address=IPv4Interface("192.0.2.9/24"))]))
    database = snapshot(northbound)
    assert [row.columns["external_ip"] for row in database.rows("NAT")] == ["192.0.2.9"]
    port = database.find("Logical_Router_Port", "rtoe-GR_gw")
    assert port and port.columns["networks"] == frozenset({"192.0.2.9/24"})


def test_a_gateway_whose_next_hop_is_in_no_network_of_its_own(northbound: Client) -> None:
    """As clouds give addresses: the way out names its port."""
    one = dataclasses.replace(gateway(), address=IPv4Interface("192.0.2.9/32"))
    converge(northbound, request(gateways=[one]))
    default = snapshot(northbound).find("Logical_Router_Static_Route", "gateway/gw/default")
    assert default and default.columns["output_port"] == "rtoe-GR_gw"
