# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""The network follows the address that a gateway announces in its Chassis row."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from ipaddress import IPv4Address, IPv4Interface, IPv4Network
from pathlib import Path

import pytest
from control_plane import eventually
from northbound import WatcherProcess
from ovsdb_servers import Server
from watcher_world import World

from ovn_k8s.core.database import Database
from ovn_k8s.core.gateway_announcement import CMS_OPTIONS, Announcement, with_announcement
from ovn_k8s.core.layout import TABLES, Request, WantedGateway, lay_out

FIRST = Announcement("breth0", IPv4Interface("192.0.2.2/24"), IPv4Address("192.0.2.1"), "02:00:00:00:00:01")
LATER = dataclasses.replace(FIRST, address=IPv4Interface("192.0.2.77/24"), nexthop=IPv4Address("192.0.2.254"))


@pytest.fixture
def southbound(new_server: Callable[..., Server]) -> Server:
    return new_server("OVN_Southbound")


@pytest.fixture
def watcher(world: World, southbound: Server, tmp_path: Path) -> Iterator[WatcherProcess]:
    """A watcher that follows the southbound database too, not started."""
    process = WatcherProcess(
        tmp_path / "following", world.nb.remote, world.plane.kubeconfig("watcher"), southbound.remote
    )
    try:
        yield process
    finally:
        process.stop()


def chassis(southbound: Server, name: str, announcement: Announcement | None) -> None:
    """Make or change the Chassis row as ovn-controller does."""
    config = ["map", [[CMS_OPTIONS, with_announcement("enable-chassis-as-gw", announcement)]]]
    known = [row["name"] for row in southbound.rows("Chassis")]
    if name in known:
        southbound.transact(
            {"op": "update", "table": "Chassis", "where": [["name", "==", name]], "row": {"other_config": config}}
        )
        return
    encap = {"type": "geneve", "ip": f"172.30.0.{14 + len(known)}", "chassis_name": name}
    southbound.transact(
        {"op": "insert", "table": "Encap", "row": encap, "uuid-name": "encap"},
        {
            "op": "insert",
            "table": "Chassis",
            "row": {"name": name, "encaps": ["named-uuid", "encap"], "other_config": config},
        },
    )


def lay_out_gateway(world: World, *sources: str) -> None:
    """What the role does once, with an address that is not the announced one."""
    gateway = WantedGateway(
        "gw",
        "gw",
        "breth0",
        IPv4Interface("192.0.2.9/24"),
        IPv4Address("192.0.2.1"),
        "02:00:00:00:00:01",
        tuple(IPv4Network(source) for source in sources),
    )
    request = Request("master", IPv4Network("10.244.0.0/16"), 24, IPv4Network("100.64.0.0/16"), gateways=[gateway])
    with world.nb.client() as client:
        client.converge(TABLES, lambda actual: lay_out(request, actual).plan)


def snapshot(world: World) -> Database:
    with world.nb.client() as client:
        return client.snapshot(TABLES)


def outside(world: World, name: str = "gw") -> tuple[str, str, str] | None:
    """Network of the gateway's outer port, address that pods are translated to, next hop."""
    database = snapshot(world)
    port = database.find("Logical_Router_Port", f"rtoe-GR_{name}")
    nat = database.find("NAT", f"gateway/{name}/snat")
    route = database.find("Logical_Router_Static_Route", f"gateway/{name}/default")
    if not port or not nat or not route:
        return None
    return min(port.columns["networks"]), nat.columns["external_ip"], route.columns["nexthop"]


def until(condition: Callable[[], object], watcher: WatcherProcess) -> None:
    for last in eventually(30, 0.05):
        if condition():
            return
        assert not last, watcher.log.read_text()[-3000:]


def test_a_new_address_is_followed_and_the_rest_stays(
    world: World, southbound: Server, watcher: WatcherProcess
) -> None:
    lay_out_gateway(world, "10.244.2.0/24")
    chassis(southbound, "gw", FIRST)
    watcher.start()
    until(lambda: outside(world) == ("192.0.2.2/24", "192.0.2.2", "192.0.2.1"), watcher)
    join = snapshot(world).find("Logical_Router_Port", "rtoj-GR_gw").columns["networks"]
    chassis(southbound, "gw", LATER)
    until(lambda: outside(world) == ("192.0.2.77/24", "192.0.2.77", "192.0.2.254"), watcher)
    database = snapshot(world)
    assert database.find("Logical_Router", "GR_gw").columns["external_ids"]["physical_ip"] == "192.0.2.77"
    assert database.find("Logical_Router_Port", "rtoj-GR_gw").columns["networks"] == join
    assert database.find("Logical_Router_Static_Route", "gateway/gw/source/10.244.2.0/24") is not None
    assert watcher.run("--check").stdout == ""


def test_an_announcement_that_ends_leaves_the_gateway(
    world: World, southbound: Server, watcher: WatcherProcess
) -> None:
    lay_out_gateway(world)
    chassis(southbound, "gw", LATER)
    watcher.start()
    until(lambda: outside(world) == ("192.0.2.77/24", "192.0.2.77", "192.0.2.254"), watcher)
    chassis(southbound, "gw", None)
    southbound.stop()
    world.objects.pod("p0")  # nothing else waits for the southbound database
    until(lambda: f"{world.objects.namespace}_p0" in world.nb.ports(), watcher)
    assert watcher.get("/readyz") == (200, "ok\n")
    assert outside(world) == ("192.0.2.77/24", "192.0.2.77", "192.0.2.254")
    southbound.start()
    chassis(southbound, "gw", FIRST)
    until(lambda: outside(world) == ("192.0.2.2/24", "192.0.2.2", "192.0.2.1"), watcher)


def test_a_node_that_is_no_gateway_cannot_become_one_by_itself(
    world: World, southbound: Server, watcher: WatcherProcess
) -> None:
    lay_out_gateway(world)
    chassis(southbound, "linux1", FIRST)
    watcher.start()
    until(lambda: "is no gateway of this cluster" in watcher.log.read_text(), watcher)
    assert snapshot(world).find("Logical_Router", "GR_linux1") is None
    assert outside(world) == ("192.0.2.9/24", "192.0.2.9", "192.0.2.1")


def test_a_gateway_that_the_configuration_names_is_made(
    world: World, southbound: Server, watcher: WatcherProcess
) -> None:
    watcher.config.write_text('gateways = ["gw"]\n' + watcher.config.read_text())
    watcher.start()
    chassis(southbound, "gw", FIRST)
    until(lambda: outside(world) == ("192.0.2.2/24", "192.0.2.2", "192.0.2.1"), watcher)
    lay_out_gateway(world)  # what the role says at its next run is an address of before
    until(lambda: outside(world) == ("192.0.2.2/24", "192.0.2.2", "192.0.2.1"), watcher)
