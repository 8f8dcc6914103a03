# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""master-init, minion-init and gateway-init by hand: a network from nothing, and pods' way out through the gateway."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator

import pytest
from cni_caller import Agent, Sandbox
from small_ovn import Node, SmallOvn, eventually, run

CLUSTER = ("--cluster-ip-subnet", "10.244.0.0/16")


def init(node: Node, command: str, *options: str) -> list[str]:
    output = node.enter(
        sys.executable, "-m", "ovn_k8s.overlay", command, "--json", "--config", str(node.directory / "node.toml"),
        "--state", str(node.directory / "host-state.json"), "--nb-remote", f"unix:{node.ovn.northbound}",
        "--node-name", node.name, *CLUSTER, *options,
    )  # fmt: skip
    return list(json.loads(output)["changes"])


@pytest.fixture(scope="module")
def network() -> Iterator[tuple[Node, Node]]:
    """A second OVN, without any logical network: master and gateway."""
    system = SmallOvn()
    try:
        system.start(router=False)
        nodes = system.add_node("m1", topology=False), system.add_node("g1", topology=False)
        for node in nodes:
            Agent(node)  # writes node.toml with the underlay and the paths of this test
        yield nodes
    finally:
        system.stop()


def test_minion_init_needs_a_cluster(network: tuple[Node, Node]) -> None:
    with pytest.raises(AssertionError, match="run master-init first"):
        init(network[1], "minion-init", "--minion-switch-subnet", network[1].subnet)


def test_init_commands_make_a_network_and_are_idempotent(network: tuple[Node, Node]) -> None:
    master, gateway = network
    first = ("master-init", "--master-switch-subnet", master.subnet)
    assert "Logical_Router m1: created" in init(master, *first, "--check")
    assert master.ovn.nbctl("lr-list") == ""
    assert "Logical_Router m1: created" in init(master, *first)
    assert init(master, *first) == []
    second = ("minion-init", "--minion-switch-subnet", gateway.subnet)
    init(gateway, *second)
    assert init(gateway, *second) == []
    other = master.subnet.replace(".0/", ".2/").removesuffix("/24")
    eventually(lambda: "1 received" in gateway.enter("ping", "-c1", "-W1", other, check=False), "node reaches node")


def test_gateway_init_lets_pods_out(network: tuple[Node, Node]) -> None:
    master, gateway = network
    outside = f"{master.ovn.prefix}-outside"
    run("ip", "netns", "add", outside)
    try:
        run(
            "ip",
            "link",
            "add",
            "ext0",
            "netns",
            gateway.netns,
            "type",
            "veth",
            "peer",
            "name",
            "eth0",
            "netns",
            outside,
        )
        run("ip", "-n", outside, "address", "add", "192.0.2.1/24", "dev", "eth0")
        run("ip", "-n", outside, "link", "set", "eth0", "up")
        run("nsenter", f"--net=/run/netns/{outside}", "ethtool", "-K", "eth0", "tx", "off")
        arguments = (
            "gateway-init", "--physical-ip", "192.0.2.2/24", "--physical-interface", "ext0", "--default-gw", "192.0.2.1"
        )  # fmt: skip
        init(gateway, *arguments)
        assert init(gateway, *arguments) == []
        agent = Agent(master)
        agent.start()
        sandbox = Sandbox(master, "traveller").create()
        try:
            master.ovn.add_pod_port(master, "default", sandbox.name, sandbox.uid, sandbox.host)
            assert agent.call("ADD", sandbox).status == 0
            eventually(
                lambda: "1 received" in sandbox.enter("ping", "-c1", "-W1", "192.0.2.1", check=False),
                "a pod reaches the outside",
            )
        finally:
            agent.call("DEL", sandbox)
            sandbox.delete()
            master.stop_daemon("agent")
    finally:
        run("ip", "netns", "delete", outside)
