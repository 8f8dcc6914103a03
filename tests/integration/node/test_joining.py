# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""A machine that was only prepared learns its subnet from the southbound database and takes its place."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from ipaddress import IPv4Address, IPv4Network

import pytest
from prepared_machine import PreparedMachine
from small_ovn import Node, SmallOvn, eventually

from ovn_k8s.core.layout import TABLES, Request, WantedNode, lay_out
from ovn_k8s.ovsdb.client import Client
from ovn_k8s.ovsdb.remote import parse_remotes

CLUSTER = IPv4Network("10.244.0.0/16")


@pytest.fixture
def joining(ovn: SmallOvn) -> Iterator[PreparedMachine]:
    yield PreparedMachine(ovn.add_node("joins", topology=False))


def lay_out_node(ovn: SmallOvn, node: Node, subnet: str, *, gone: bool = False) -> None:
    """What the watcher writes when Kubernetes has the node."""
    wanted = WantedNode(node.name, IPv4Address(node.address), IPv4Network(subnet))
    request = Request(
        "cluster",
        CLUSTER,
        24,
        IPv4Network("100.64.0.0/16"),
        () if gone else (wanted,),
        absent_nodes=(node.name,) if gone else (),
    )
    with Client(parse_remotes(f"unix:{ovn.northbound}"), "OVN_Northbound") as client:
        client.converge(TABLES, lambda actual: lay_out(request, actual).plan)


def ended(process: subprocess.Popen[bytes]) -> bool:
    return process.poll() is not None


def test_a_prepared_machine_joins_moves_and_forgets(ovn: SmallOvn, joining: PreparedMachine) -> None:
    ovn.nbctl("set", "logical_router", "cluster", "external_ids:ovn-k8s-owner=cluster")
    assert "Bridge br-phy: created" in joining.overlay("apply"), "the underlay does not wait for a subnet"
    assert joining.addresses() == []
    agent = joining.start()
    eventually(lambda: "no place in the network yet" in joining.agent.log(), "the agent waits")
    assert not joining.agent.socket.exists(), "no pod can be attached before there is a subnet"

    lay_out_node(ovn, joining.node, "10.244.201.0/24")
    eventually(lambda: ended(agent), "the agent takes its place and ends")
    assert agent.returncode == 0, joining.agent.log()
    assert joining.record.read_text() == "10.244.201.0/24\n"
    assert joining.addresses() == ["10.244.201.2"]
    eventually(lambda: joining.pings("10.244.201.1"), "the router answers")
    agent = joining.start()
    eventually(joining.agent.socket.exists, "the agent serves pods")
    assert joining.overlay("apply") == [], "the next boot finds everything as it was left"

    lay_out_node(ovn, joining.node, "10.244.201.0/24", gone=True)
    time.sleep(1)
    assert not ended(agent), "a place that is taken away is kept until there is another one"
    lay_out_node(ovn, joining.node, "10.244.202.0/24")
    eventually(lambda: ended(agent), "the agent moves")
    assert joining.addresses() == ["10.244.202.2"]
    eventually(lambda: joining.pings("10.244.202.1"), "the router answers")
    assert joining.record.read_text() == "10.244.202.0/24\n"

    joining.overlay("remove")
    assert not joining.record.exists()
    assert joining.addresses() == []
