# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""Killed and absent programs: what the runtime is told, and that the next call repairs."""

from __future__ import annotations

import signal
from collections.abc import Callable

from cni_caller import Agent, Sandbox
from small_ovn import Node, eventually
from test_cni_verbs import links, ports

from ovn_k8s.node.pod_interface import host_interface

NewSandbox = Callable[..., Sandbox]


def test_without_agent_the_runtime_is_told_to_try_again(agent: Agent, new_sandbox: NewSandbox) -> None:
    sandbox = new_sandbox("no-agent")
    agent.kill()
    codes = {command: agent.call(command, sandbox).output["code"] for command in ("ADD", "DEL", "STATUS")}
    assert codes == {"ADD": 11, "DEL": 11, "STATUS": 50}
    assert agent.call("VERSION").status == 0
    agent.start()
    assert agent.call("ADD", sandbox).status == 0


def test_agent_killed_in_mid_add(node: Node, agent: Agent, new_sandbox: NewSandbox) -> None:
    """Stopped ovn-controller holds ADD at its last step; the agent dies there and leaves port and interface."""
    again, gone = new_sandbox("killed-again"), new_sandbox("killed-gone")
    controller = node.daemons["ovn-controller"]
    controller.send_signal(signal.SIGSTOP)
    try:
        waiting = [agent.begin("ADD", sandbox) for sandbox in (again, gone)]
        names = {host_interface(sandbox.container, "eth0") for sandbox in (again, gone)}
        eventually(lambda: names <= ports(node), "ADD has added the ports")
        agent.kill()
        for process in waiting:
            output, _ = process.communicate(timeout=10)
            assert process.returncode == 1
            assert b'"code": 11' in output
    finally:
        controller.send_signal(signal.SIGCONT)
    assert names <= links(node)
    agent.start()
    assert agent.call("ADD", again).status == 0
    assert agent.call("DEL", gone).status == 0
    assert host_interface(gone.container, "eth0") not in ports(node) | links(node)


def test_start_removes_what_a_reboot_left(node: Node, agent: Agent, new_sandbox: NewSandbox) -> None:
    kept, lost, half = new_sandbox("survivor"), new_sandbox("rebooted"), new_sandbox("half-made")
    names = {key: host_interface(s.container, "eth0") for key, s in (("kept", kept), ("lost", lost), ("half", half))}
    for sandbox in (kept, lost):
        assert agent.call("ADD", sandbox).status == 0
    agent.kill()
    node.enter("ip", "link", "delete", names["lost"])  # as after a reboot: the port stays, the interface is gone
    node.enter("ip", "link", "add", names["half"], "type", "veth", "peer", "name", "half-peer")
    agent.start()
    eventually(lambda: names["lost"] not in ports(node), "the stale port is removed")
    eventually(lambda: names["half"] not in links(node), "the half-made interface is removed")
    assert names["kept"] in ports(node) & links(node)


def test_ovn_controller_down(node: Node, agent: Agent, new_sandbox: NewSandbox) -> None:
    sandbox = new_sandbox("uncontrolled")
    node.daemons["ovn-controller"].send_signal(signal.SIGSTOP)
    try:
        reply = agent.call("ADD", sandbox)
    finally:
        node.daemons["ovn-controller"].send_signal(signal.SIGCONT)
    assert reply.output["code"] == 11
    assert "ovn-controller" in reply.output["details"]
    assert host_interface(sandbox.container, "eth0") not in ports(node) | links(node), "the attempt is undone"
    assert agent.call("ADD", sandbox).status == 0


def test_southbound_restart(node: Node, agent: Agent, new_sandbox: NewSandbox) -> None:
    known = new_sandbox("before-restart")
    assert agent.call("ADD", known).status == 0
    node.ovn.stop_database("sb")
    late = new_sandbox("during-restart")
    reply = agent.call("ADD", late)
    assert reply.output["code"] == 11
    assert "southbound database is not connected" in reply.output["msg"]
    assert agent.call("STATUS").status == 0, "a short interruption does not make the node NotReady"
    node.ovn.start_database("sb")
    eventually(lambda: agent.call("ADD", late).status == 0, "ADD succeeds when the database is back", 30)


def test_openvswitch_restart(node: Node, agent: Agent, new_sandbox: NewSandbox) -> None:
    old, new = new_sandbox("old"), new_sandbox("new")
    assert agent.call("ADD", old).status == 0
    node.stop_daemon("ovs-vswitchd")
    node.stop_daemon("ovsdb-server")
    assert agent.call("STATUS").output["code"] == 51
    assert agent.call("ADD", new).output["code"] == 11
    assert host_interface(new.container, "eth0") not in links(node)
    node.start_database()
    node.start_switch()
    eventually(lambda: agent.call("STATUS").status == 0, "the agent is connected again")
    eventually(lambda: agent.call("ADD", new).status == 0, "ADD succeeds again", 30)
    address = f"{node.subnet.removesuffix('0/24')}{old.host}"
    eventually(lambda: "1 received" in new.enter("ping", "-c1", "-W1", address, check=False), "packets flow")
