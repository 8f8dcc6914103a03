# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""One small OVN for all tests of this folder; sandboxes and agent per test."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

import small_ovn
from cni_caller import Agent, Sandbox


@pytest.fixture(scope="session")
def ovn() -> Iterator[small_ovn.SmallOvn]:
    """Databases, northd and an underlay; nodes are added by whoever needs them."""
    if reason := small_ovn.missing():
        pytest.skip(reason)
    system = small_ovn.SmallOvn()
    try:
        system.start()
        yield system
    finally:
        system.stop()


@pytest.fixture(scope="session")
def node(ovn: small_ovn.SmallOvn) -> small_ovn.Node:
    """A chassis."""
    node = ovn.add_node("node1")
    small_ovn.eventually(lambda: "br-int" in node.vsctl("list-br"), "br-int exists")
    return node


@pytest.fixture
def agent(node: small_ovn.Node) -> Iterator[Agent]:
    """The node's agent, running; short time limits."""
    agent = Agent(node, "--binding-timeout=3", "--install-timeout=10")
    agent.start()
    yield agent
    if "agent" in node.daemons:
        node.stop_daemon("agent")


@pytest.fixture
def new_sandbox(node: small_ovn.Node, agent: Agent) -> Iterator[Callable[..., Sandbox]]:
    """Makes sandboxes whose pod has a logical port; they are detached and deleted at the end of the test."""
    made: list[Sandbox] = []

    def make(name: str, *, port: bool = True) -> Sandbox:
        sandbox = Sandbox(node, name).create()
        made.append(sandbox)
        if port:
            node.ovn.add_pod_port(node, sandbox.namespace, name, sandbox.uid, sandbox.host)
        return sandbox

    yield make
    for sandbox in made:
        if agent.call("DEL", sandbox).status == 0:
            sandbox.delete()
        node.ovn.nbctl("--if-exists", "lsp-del", f"{sandbox.namespace}_{sandbox.name}")
