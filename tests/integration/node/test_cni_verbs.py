# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""The CNI executable and the agent against a real OVN: real namespaces, real packets."""

from __future__ import annotations

from collections.abc import Callable

from cni_caller import Agent, Sandbox
from small_ovn import Node, eventually, mac, run

from ovn_k8s.node.pod_interface import host_interface

NewSandbox = Callable[..., Sandbox]


def ports(node: Node) -> set[str]:
    return {name for name in node.vsctl("list-ports", "br-int").split() if name.startswith("pod")}


def links(node: Node) -> set[str]:
    listed = node.enter("ip", "-o", "link", "show", "type", "veth").splitlines()
    return {name for name in (line.split(": ")[1].split("@")[0] for line in listed) if name.startswith("pod")}


def ping(source: Sandbox, address: str) -> bool:
    return "1 received" in source.enter("ping", "-c1", "-W1", "-n", address, check=False)


def test_add_makes_an_interface_that_carries_packets(node: Node, agent: Agent, new_sandbox: NewSandbox) -> None:
    first, second = new_sandbox("web-1"), new_sandbox("web-2")
    replies = [agent.call("ADD", sandbox) for sandbox in (first, second)]
    assert [reply.status for reply in replies] == [0, 0], replies
    result = replies[0].output
    base = node.subnet.removesuffix("0/24")
    assert result["cniVersion"] == "1.1.0"
    assert result["ips"] == [{"address": f"{base}{first.host}/24", "gateway": f"{base}1", "interface": 1}]
    hardware = mac(f"{base}{first.host}")
    assert result["interfaces"][1] == {"name": "eth0", "mac": hardware, "sandbox": first.path, "mtu": 1400}
    assert result["interfaces"][0]["name"] == host_interface(first.container, "eth0")
    eventually(lambda: ping(first, f"{base}{second.host}"), "the pods reach each other")
    assert ping(first, f"{base}1"), "the router answers"
    assert "tx-checksumming: off" in first.enter("ethtool", "-k", "eth0")
    assert "inet6" not in first.enter("ip", "address", "show", "eth0")
    assert "mtu 1400" in first.enter("ip", "link", "show", "eth0")


def test_add_twice_gives_the_same_result(node: Node, agent: Agent, new_sandbox: NewSandbox) -> None:
    sandbox = new_sandbox("twice")
    first, second = agent.call("ADD", sandbox), agent.call("ADD", sandbox)
    assert first == second
    assert first.status == 0
    assert len([name for name in ports(node) if name == host_interface(sandbox.container, "eth0")]) == 1


def test_results_follow_the_requested_version(agent: Agent, new_sandbox: NewSandbox) -> None:
    sandbox = new_sandbox("versions")
    old, new = (agent.call("ADD", sandbox, version=version).output for version in ("0.4.0", "1.0.0"))
    assert (old["cniVersion"], old["ips"][0]["version"]) == ("0.4.0", "4")
    assert new["cniVersion"] == "1.0.0"
    assert "version" not in new["ips"][0]
    assert "mtu" not in new["interfaces"][1]


def test_del_leaves_nothing_and_may_be_repeated(node: Node, agent: Agent, new_sandbox: NewSandbox) -> None:
    sandbox = new_sandbox("leaving")
    agent.call("ADD", sandbox)
    for _ in range(2):
        reply = agent.call("DEL", sandbox)
        assert (reply.status, reply.output) == (0, None)
    name = host_interface(sandbox.container, "eth0")
    assert name not in ports(node) | links(node)
    assert "eth0" not in sandbox.enter("ip", "link")


def test_del_without_namespace_succeeds(node: Node, agent: Agent, new_sandbox: NewSandbox) -> None:
    sandbox = new_sandbox("vanished")
    agent.call("ADD", sandbox)
    sandbox.delete()
    assert agent.call("DEL", sandbox).status == 0
    assert agent.call("DEL", sandbox, environment={"CNI_NETNS": ""}).status == 0
    assert host_interface(sandbox.container, "eth0") not in ports(node) | links(node)


def test_check_is_content_until_something_is_broken(agent: Agent, new_sandbox: NewSandbox) -> None:
    sandbox = new_sandbox("checked")
    previous = {"prevResult": agent.call("ADD", sandbox).output}
    for _ in range(2):
        assert agent.call("CHECK", sandbox, config=previous).status == 0
    sandbox.enter("ip", "route", "del", "default")
    sandbox.enter("ip", "link", "set", "eth0", "down")
    reply = agent.call("CHECK", sandbox, config=previous)
    assert (reply.status, reply.output["code"]) == (1, 102)
    assert "eth0 is down" in reply.output["details"]
    assert "default route" in reply.output["details"]
    assert agent.call("CHECK", sandbox).output["code"] == 7
    assert agent.call("ADD", sandbox).status == 0, "ADD repairs it"
    assert agent.call("CHECK", sandbox, config=previous).status == 0


def test_gc_removes_what_the_runtime_does_not_know(node: Node, agent: Agent, new_sandbox: NewSandbox) -> None:
    kept, lost = new_sandbox("kept"), new_sandbox("lost")
    for sandbox in (kept, lost):
        assert agent.call("ADD", sandbox).status == 0
    valid = {"cni.dev/valid-attachments": [{"containerID": kept.container, "ifname": "eth0"}]}
    for _ in range(2):
        assert agent.call("GC", config=valid).status == 0
        assert host_interface(kept.container, "eth0") in ports(node) & links(node)
        assert host_interface(lost.container, "eth0") not in ports(node) | links(node)
    assert agent.call("GC").output["code"] == 7, "a missing list is not an empty one"


def test_status_and_version(agent: Agent) -> None:
    for _ in range(2):
        reply = agent.call("STATUS")
        assert (reply.status, reply.output) == (0, None)
    assert agent.call("VERSION").output == {"cniVersion": "1.1.0", "supportedVersions": ["0.4.0", "1.0.0", "1.1.0"]}


def test_add_without_logical_port_says_what_is_missing(node: Node, agent: Agent, new_sandbox: NewSandbox) -> None:
    sandbox = new_sandbox("portless", port=False)
    reply = agent.call("ADD", sandbox)
    assert (reply.status, reply.output["code"]) == (1, 11)
    assert "no logical port default_portless" in reply.output["msg"]
    assert "ovn-k8s-watcher" in reply.output["details"]
    assert host_interface(sandbox.container, "eth0") not in ports(node) | links(node)


def test_add_waits_for_the_port_of_this_very_pod(node: Node, agent: Agent, new_sandbox: NewSandbox) -> None:
    sandbox = new_sandbox("again", port=False)
    node.ovn.add_pod_port(node, "default", "again", "the-old-pod", 200)
    refused = agent.call("ADD", sandbox)
    assert refused.output["code"] == 11
    assert "the-old-pod" in refused.output["details"]
    process = agent.begin("ADD", sandbox)
    address = node.ovn.add_pod_port(node, "default", "again", sandbox.uid, sandbox.host)
    output, _ = process.communicate(timeout=30)
    assert process.returncode == 0
    assert f"{address}/24" in output.decode()


def test_a_pod_made_again_under_its_name_does_not_wait_for_the_old_one(
    node: Node, agent: Agent, new_sandbox: NewSandbox
) -> None:
    """One that was deleted by force may go on for as long as its grace period says, with the same logical port."""
    peer, old = new_sandbox("peer"), new_sandbox("phoenix")
    assert agent.call("ADD", peer).status == agent.call("ADD", old).status == 0
    young = new_sandbox("phoenix")
    reply = agent.call("ADD", young)
    assert reply.status == 0, reply.output
    bound = node.vsctl("--bare", "--columns=name", "find", "interface", "external_ids:iface-id=default_phoenix")
    assert bound == host_interface(young.container, "eth0"), "with two, ovn-controller takes either"
    address = f"{node.subnet.removesuffix('0/24')}{young.host}"
    eventually(lambda: ping(peer, address), "the new pod answers")
    assert agent.call("DEL", old).status == 0
    assert ping(peer, address), "the end of the old pod is not the new one's"


def test_wrong_namespaces_are_refused(agent: Agent, new_sandbox: NewSandbox) -> None:
    sandbox = new_sandbox("lost-ns")
    assert agent.call("ADD", sandbox, environment={"CNI_NETNS": "/run/netns/absent"}).output["code"] == 3
    assert agent.call("ADD", sandbox, environment={"CNI_NETNS": "/etc/passwd"}).output["code"] == 4
    host = f"/run/netns/{agent.node.netns}"
    assert agent.call("ADD", sandbox, environment={"CNI_NETNS": host}).output["code"] == 4
    assert agent.call("ADD", sandbox, environment={"CNI_ARGS": ""}).output["code"] == 4


def test_add_leaves_a_foreign_interface_alone(node: Node, agent: Agent, new_sandbox: NewSandbox) -> None:
    sandbox = new_sandbox("occupied")
    sandbox.enter("ip", "link", "add", "eth0", "type", "veth", "peer", "name", "other")
    reply = agent.call("ADD", sandbox)
    assert reply.output["code"] == 101
    assert host_interface(sandbox.container, "eth0") not in ports(node) | links(node)
    assert "eth0" in sandbox.enter("ip", "link")


def test_many_at_once(node: Node, agent: Agent, new_sandbox: NewSandbox) -> None:
    sandboxes = [new_sandbox(f"burst-{number}") for number in range(24)]
    processes = [agent.begin("ADD", sandbox) for sandbox in sandboxes]
    outputs = [process.communicate(timeout=60)[0] for process in processes]
    assert [process.returncode for process in processes] == [0] * len(processes), outputs
    base = node.subnet.removesuffix("0/24")
    for sandbox in sandboxes[1:]:
        eventually(lambda s=sandbox: ping(sandboxes[0], f"{base}{s.host}"), f"{sandbox.name} answers", 5)
    processes = [agent.begin("DEL", sandbox) for sandbox in sandboxes]
    assert [process.wait(60) for process in processes] == [0] * len(processes)
    assert not {host_interface(sandbox.container, "eth0") for sandbox in sandboxes} & (ports(node) | links(node))


def test_del_makes_a_waiting_add_give_up(agent: Agent, new_sandbox: NewSandbox) -> None:
    sandbox = new_sandbox("impatient", port=False)
    waiting = agent.begin("ADD", sandbox)
    eventually(lambda: waiting.poll() is None, "ADD waits")
    run("sleep", "0.5")
    assert agent.call("DEL", sandbox).status == 0
    output, _ = waiting.communicate(timeout=2)
    assert waiting.returncode == 1
    assert b"given up" in output
