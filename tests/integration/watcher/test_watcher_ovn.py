# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""API server, watcher, OVN and node agent together: a machine joins, and a gateway announces its address."""

from __future__ import annotations

import dataclasses
import shutil
import sys
import time
from collections.abc import Iterator
from ipaddress import IPv4Address, IPv4Interface, IPv4Network
from pathlib import Path

import pytest
from control_plane import ControlPlane, Objects
from northbound import WatcherProcess

sys.path.insert(0, str(Path(__file__).parent.parent / "node"))

import small_ovn
from prepared_machine import PreparedMachine
from small_ovn import SmallOvn, eventually

from ovn_k8s.core.gateway_announcement import CMS_OPTIONS, Announcement, with_announcement
from ovn_k8s.core.layout import TABLES, Request, WantedGateway, lay_out
from ovn_k8s.ovsdb.client import Client
from ovn_k8s.ovsdb.remote import parse_remotes

NODES = "/api/v1/nodes"


@pytest.fixture(scope="module")
def ovn() -> Iterator[SmallOvn]:
    if reason := small_ovn.missing():
        pytest.skip(reason)
    system = SmallOvn()
    try:
        system.start()
        system.nbctl("set", "logical_router", "cluster", "external_ids:ovn-k8s-owner=cluster")
        lay_out_cluster(system)
        yield system
    finally:
        system.stop()


@pytest.fixture
def watcher(ovn: SmallOvn, control_plane: ControlPlane, tmp_path: Path) -> Iterator[WatcherProcess]:
    process = WatcherProcess(
        tmp_path / "watcher",
        f"unix:{ovn.northbound}",
        control_plane.kubeconfig("watcher"),
        southbound=f"unix:{ovn.southbound}",
    )
    process.start()
    try:
        yield process
    finally:
        process.stop()


def lay_out_cluster(ovn: SmallOvn, *gateways: WantedGateway) -> None:
    request = Request("cluster", IPv4Network("10.244.0.0/16"), 24, IPv4Network("100.64.0.0/16"), gateways=gateways)
    with Client(parse_remotes(f"unix:{ovn.northbound}"), "OVN_Northbound") as client:
        client.converge(TABLES, lambda actual: lay_out(request, actual).plan)


def test_a_prepared_machine_is_a_node_of_the_network_when_it_is_one_of_kubernetes(
    ovn: SmallOvn, control_plane: ControlPlane, watcher: WatcherProcess
) -> None:
    machine = PreparedMachine(ovn.add_node("joins", topology=False))
    machine.overlay("apply")
    agent = machine.start()
    eventually(lambda: "no place in the network yet" in machine.agent.log(), "the agent waits")
    begun = time.monotonic()
    control_plane.api.create(NODES, {"metadata": {"name": "joins"}})  # as kubelet does
    try:
        status = {"addresses": [{"type": "InternalIP", "address": machine.node.address}]}
        control_plane.api.merge_patch(f"{NODES}/joins/status", {"status": status})
        eventually(lambda: agent.poll() is not None, "the agent takes its place")
        assert agent.returncode == 0, machine.agent.log()
        print(f"\na node that registers has its place after {time.monotonic() - begun:.1f} s")
        subnet = IPv4Network(machine.record.read_text().strip())
        assert machine.addresses() == [str(subnet[2])]
        eventually(lambda: machine.pings(str(subnet[1])), "the router answers")
        objects = Objects(control_plane.api, f"joins-{time.time_ns()}")
        objects.make_namespace()
        objects.pod("p0", node="joins")
        eventually(lambda: f"{objects.namespace}_p0" in ovn.sbctl("--bare", "--columns=logical_port", "list",
                                                                   "Port_Binding"), "its pods get ports")  # fmt: skip
    finally:
        control_plane.api.delete(f"{NODES}/joins")
    eventually(lambda: "joins" not in ovn.nbctl("ls-list"), "a node that leaves is cleaned up")
    eventually(lambda: "joins" not in ovn.sbctl("--bare", "--columns=logical_port", "list", "Port_Binding"), "in SB")


def test_an_address_that_a_gateway_announces_reaches_its_router(ovn: SmallOvn, watcher: WatcherProcess) -> None:
    if shutil.which("ovs-vsctl") is None:
        pytest.skip("needs ovs-vsctl")
    node = ovn.add_node("gw")
    first = Announcement("breth0", IPv4Interface("192.0.2.2/24"), IPv4Address("192.0.2.1"), "02:00:00:00:00:01")
    lay_out_cluster(
        ovn, WantedGateway("gw", "gw", first.interface, IPv4Interface("192.0.2.9/24"), first.nexthop, first.mac)
    )
    for announced in (first, dataclasses.replace(first, address=IPv4Interface("198.51.100.7/25"), nexthop=None)):
        node.vsctl("set", "Open_vSwitch", ".", f'external_ids:{CMS_OPTIONS}="{with_announcement("", announced)}"')
        address = str(announced.address)
        eventually(
            lambda: address in ovn.nbctl("get", "Logical_Router_Port", "rtoe-GR_gw", "networks"),  # noqa: B023
            f"the router has {address}",
        )
        eventually(
            lambda: str(announced.address.ip) in ovn.sbctl("lflow-list", "GR_gw"),  # noqa: B023
            f"northd translates to {address}",
        )
    assert "192.0.2" not in ovn.nbctl("lr-nat-list", "GR_gw")
    assert "0.0.0.0/0" not in ovn.nbctl("lr-route-list", "GR_gw"), "no next hop any more"
