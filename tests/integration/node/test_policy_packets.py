# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""NetworkPolicies against real packets: the rows that policies want, in a real OVN with two nodes."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from small_ovn import Node, SmallOvn, eventually, mac, missing

from ovn_k8s.core.plan import plan
from ovn_k8s.core.policies import Logging, Namespace, policy_from_api
from ovn_k8s.core.policy_index import Member, PolicyIndex
from ovn_k8s.core.policy_rows import LOG_RATE, meter_rows, nodes_row, own_node_row, peers_row, policy_rows
from ovn_k8s.core.rows import Ref, Row
from ovn_k8s.core.selectors import labels_from_api
from ovn_k8s.ovsdb.client import Client
from ovn_k8s.ovsdb.remote import parse_remotes

PORTS = "Logical_Switch_Port"
SERVICE = "10.96.0.9"
SERVER = """
import selectors, socket, sys
listening = selectors.DefaultSelector()
for port in map(int, sys.argv[1:]):
    tcp = socket.socket(); tcp.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    tcp.bind(("", port)); tcp.listen(64); listening.register(tcp, selectors.EVENT_READ)
    udp = socket.socket(type=socket.SOCK_DGRAM); udp.bind(("", port)); listening.register(udp, selectors.EVENT_READ)
while True:
    for key, _ in listening.select():
        one = key.fileobj
        if key.data == "live":
            try: data = one.recv(100)
            except OSError: data = b""
            if data: one.sendall(data)
            else: listening.unregister(one); one.close()
        elif one.type == socket.SOCK_DGRAM:
            data, peer = one.recvfrom(100); one.sendto(data, peer)
        else:
            connection, _ = one.accept(); connection.sendall(b"hello")
            listening.register(connection, selectors.EVENT_READ, "live")
"""
TELLER = """
import socket, time
tcp = socket.socket(); tcp.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
tcp.bind(("", 9090)); tcp.listen(1)
print("ready", flush=True)
connection, _ = tcp.accept()
while True:
    connection.sendall(b"tick" * 100); time.sleep(0.02)
"""
LISTENER = """
import socket, sys
one = socket.create_connection((sys.argv[1], 9090), 3); one.settimeout(1)
print(len(one.recv(4)), flush=True)
for line in sys.stdin:
    heard = 0
    try:
        while heard < 40000: heard += len(one.recv(1 << 16))
    except OSError: pass
    print("yes" if heard >= 40000 else "no", flush=True)
"""
CONVERSATION = """
import socket, sys
one = socket.create_connection((sys.argv[1], 80), 3); one.settimeout(1)
print(one.recv(100).decode(), flush=True)
for line in sys.stdin:
    wanted, seen = line.strip().encode() + b";", b""
    try:
        one.sendall(wanted)
        while wanted not in seen:
            part = one.recv(1000)
            if not part: raise OSError
            seen += part
        print("yes", flush=True)
    except OSError:
        print("no", flush=True)
"""
CLIENT = """
import socket, sys
kind, address, port = sys.argv[1], sys.argv[2], int(sys.argv[3])
one = socket.socket(type=socket.SOCK_STREAM if kind == "tcp" else socket.SOCK_DGRAM); one.settimeout(0.7)
try:
    one.connect((address, port))
    if kind == "udp": one.send(b"hello")
    print(one.recv(100).decode())
except OSError:
    pass
"""


class Pod:
    """A network namespace on a port of the logical network, with servers in it."""

    def __init__(self, ovn: SmallOvn, node: Node, name: str, host: int, labels: dict[str, str]) -> None:
        self.name, self.node, self.labels = name, node, labels
        self.address = ovn.add_pod_port(node, "shop", name, name, host)
        self.netns = f"{ovn.prefix}-{name}"
        _interface(node, self.netns, f"p{host}", f"shop_{name}", self.address)
        command = ["nsenter", f"--net=/run/netns/{self.netns}", sys.executable, "-c", SERVER, "80", "8080"]
        self._server = subprocess.Popen(command)

    def reaches(self, address: str, port: int = 80, kind: str = "tcp") -> bool:
        """Whether a connection gets an answer."""
        return _reaches(self.netns, address, port, kind)

    def stop(self) -> None:
        self._server.kill()
        self._server.wait(10)
        _ip("netns", "delete", self.netns)


class Conversation:
    """A TCP connection that stays open."""

    def __init__(self, pod: Pod, address: str) -> None:
        command = ["nsenter", f"--net=/run/netns/{pod.netns}", sys.executable, "-IS", "-c", CONVERSATION, address]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self._words = 0
        assert self._line() == "hello"

    def goes_on(self) -> bool:
        """Whether the server repeats a word in time."""
        self._words += 1
        assert self._process.stdin
        self._process.stdin.write(f"word{self._words}\n")
        self._process.stdin.flush()
        return self._line() == "yes"

    def close(self) -> None:
        self._process.kill()
        self._process.communicate()

    def _line(self) -> str:
        assert self._process.stdout
        return self._process.stdout.readline().strip()


class Scene:
    """Two nodes with pods, and policies of namespace `shop`."""

    def __init__(self, ovn: SmallOvn) -> None:
        self.ovn = ovn
        self.nodes = [ovn.add_node("n1"), ovn.add_node("n2")]
        self.hosts: list[subprocess.Popen[bytes]] = []
        for node in self.nodes:
            node.take_underlay()
            own = node.subnet.replace("0/24", "2")
            netns = f"{ovn.prefix}-host-{node.name}"
            _interface(node, netns, "host", f"k8s-{node.name}", own)
            _ip("-n", netns, "address", "add", f"{node.address}/32", "dev", "lo")
            command = ["nsenter", f"--net=/run/netns/{netns}", sys.executable, "-c", SERVER, "80"]
            self.hosts.append(subprocess.Popen(command))
        first, second = self.nodes
        self.web = Pod(ovn, first, "web", 10, {"app": "web"})
        self.near = Pod(ovn, first, "near", 11, {"app": "client"})
        self.far = Pod(ovn, second, "far", 12, {"app": "client"})
        self.other = Pod(ovn, second, "other", 13, {"app": "other"})
        self.pods = (self.web, self.near, self.far, self.other)
        ovn.nbctl("lb-add", "service", f"{SERVICE}:80", f"{self.web.address}:8080", "tcp")
        ovn.nbctl("set", "load_balancer", "service", "options:hairpin_snat_ip=169.254.0.5")
        for node in self.nodes:
            ovn.nbctl("ls-lb-add", node.name, "service")
        self.index = PolicyIndex()
        self.index.set_namespace("shop", Namespace("shop"))
        for pod in self.pods:
            self.index.set_pod(("shop", pod.name), Member(labels_from_api(pod.labels), pod.address, PORT_NAMES))
        self._sync()

    def from_node(self, node: Node, address: str) -> bool:
        """Whether the node itself gets an answer."""
        return _reaches(f"{self.ovn.prefix}-host-{node.name}", address, 80, "tcp")

    def apply(self, **specs: dict[str, Any]) -> None:
        """These are the policies, and no others."""
        for key in self.index.policies():
            if key[1] not in specs:
                self.index.set_policy(key, None)
        for name, spec in specs.items():
            document = {"metadata": {"namespace": "shop", "name": name}, "spec": spec}
            self.index.set_policy(("shop", name), policy_from_api(document))
        self._write()

    def label(self, pod: Pod, **labels: str) -> None:
        """A pod's labels change."""
        self.index.set_pod(("shop", pod.name), Member(labels_from_api(labels), pod.address, PORT_NAMES))
        self._write()

    def log(self, **annotation: str) -> None:
        """The namespace's annotation for logging changes."""
        self.index.set_namespace("shop", Namespace("shop", logging=Logging(**annotation)))
        self._write()

    def stop(self) -> None:
        for pod in self.pods:
            pod.stop()
        for host in self.hosts:
            host.kill()
            host.wait(10)
        for node in self.nodes:
            _ip("netns", "delete", f"{self.ovn.prefix}-host-{node.name}")

    def _write(self) -> None:
        rows: list[Row] = [nodes_row([Ref(PORTS, f"k8s-{node.name}") for node in self.nodes])]
        rows += meter_rows()
        rows += [own_node_row(node.name, own_addresses(node)) for node in self.nodes]
        rows += [peers_row(peers, self.index.addresses(peers)) for peers in self.index.peers()]
        for key in self.index.policies():
            policy = self.index.policy(key)
            assert policy is not None
            ports = [Ref(PORTS, f"{namespace}_{name}") for namespace, name in self.index.selected(key)]
            rows += policy_rows(policy, ports, self.index.resolver(policy), self.index.logging(key[0]))
        with Client(parse_remotes(f"unix:{self.ovn.northbound}"), "OVN_Northbound") as client:
            ours = ("policy/", "peers/")
            client.commit(plan(rows, client.snapshot(), owners=lambda owner: owner.startswith(ours)))
        self._sync()

    def _sync(self) -> None:
        """Wait until both nodes have the flows, and have their datapaths forget what they keep of older ones.

        `revalidator/wait` would not do: a round that was under way already may have passed the flows in question.
        """
        self.ovn.nbctl("--wait=hv", "sync")
        for node in self.nodes:
            node.appctl("ovs-vswitchd", "revalidator/purge")


PORT_NAMES = (("http", "TCP", 8080),)


def own_addresses(node: Node) -> list[str]:
    """A node's addresses in the logical network and on the underlay."""
    return [node.subnet.replace("0/24", "2"), node.address]


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=False, capture_output=True)


def _reaches(netns: str, address: str, port: int, kind: str) -> bool:
    command = ["nsenter", f"--net=/run/netns/{netns}", sys.executable, "-IS", "-c", CLIENT, kind, address, str(port)]
    return subprocess.run(command, capture_output=True, text=True, timeout=20, check=False).stdout.strip() == "hello"


def _interface(node: Node, netns: str, name: str, port: str, address: str) -> None:
    """A veth from the node's switch into a namespace of its own, with the address of a logical port."""
    gateway = node.subnet.replace("0/24", "1")
    for arguments in (
        ("netns", "add", netns),
        ("link", "add", name, "netns", node.netns, "type", "veth", "peer", "name", "eth0", "netns", netns),
        ("-n", node.netns, "link", "set", name, "up"),
        ("-n", netns, "link", "set", "lo", "up"),
        ("-n", netns, "link", "set", "eth0", "address", mac(address), "mtu", "1400", "up"),
        ("-n", netns, "address", "add", f"{address}/24", "dev", "eth0"),
        ("-n", netns, "route", "add", "default", "via", gateway),
    ):
        subprocess.run(["ip", *arguments], check=True, capture_output=True)
    subprocess.run(["nsenter", f"--net=/run/netns/{netns}", "ethtool", "-K", "eth0", "tx", "off"], check=True,
                   capture_output=True)  # fmt: skip
    node.vsctl("add-port", "br-int", name, "--", "set", "interface", name, f"external_ids:iface-id={port}")


@pytest.fixture(scope="module")
def scene() -> Iterator[Scene]:
    reason = missing()
    if reason:
        pytest.skip(reason)
    ovn = SmallOvn()
    with contextlib.ExitStack() as stack:
        stack.callback(ovn.stop)
        ovn.start()
        built = Scene(ovn)
        stack.callback(built.stop)
        eventually(lambda: built.far.reaches(built.web.address), "pods reach each other without policies")
        yield built


WEB = {"podSelector": {"matchLabels": {"app": "web"}}}
CLIENTS = {"podSelector": {"matchLabels": {"app": "client"}}}


def test_without_policies_everything_is_open(scene: Scene) -> None:
    scene.apply()
    assert scene.other.reaches(scene.web.address)
    assert scene.near.reaches(SERVICE)
    assert scene.web.reaches(SERVICE)


def test_default_deny_lets_only_the_own_node_and_the_pod_itself_in(scene: Scene) -> None:
    scene.apply(deny=WEB)
    assert not scene.near.reaches(scene.web.address)
    assert not scene.far.reaches(scene.web.address)
    assert not scene.far.reaches(scene.web.address, kind="udp")
    assert not scene.near.reaches(SERVICE)
    assert scene.from_node(scene.nodes[0], scene.web.address)
    assert not scene.from_node(scene.nodes[1], scene.web.address)
    assert scene.web.reaches(SERVICE)
    scene.apply(deny={**WEB, "policyTypes": ["Ingress", "Egress"]})
    assert scene.web.reaches(SERVICE)
    assert not scene.web.reaches(scene.near.address)
    scene.apply(deny=WEB)
    # Others are not isolated, and replies to what the pod asks come in.
    assert scene.web.reaches(scene.far.address)
    assert scene.web.reaches(scene.near.address, kind="udp")


def test_peers_ports_and_protocols(scene: Scene) -> None:
    scene.apply(clients={**WEB, "ingress": [{"from": [CLIENTS], "ports": [{"port": 80}]}]})
    assert scene.near.reaches(scene.web.address)
    assert scene.far.reaches(scene.web.address)
    assert not scene.far.reaches(scene.web.address, 8080)
    assert not scene.far.reaches(scene.web.address, kind="udp")
    assert not scene.other.reaches(scene.web.address)
    scene.apply(clients={**WEB, "ingress": [{"ports": [{"port": 70, "endPort": 90, "protocol": "UDP"}]}]})
    assert scene.other.reaches(scene.web.address, kind="udp")
    assert not scene.other.reaches(scene.web.address, 8080, "udp")
    assert not scene.other.reaches(scene.web.address)


def test_a_rule_that_selects_nobody(scene: Scene) -> None:
    scene.apply(nobody={**WEB, "ingress": [{"from": [{"podSelector": {"matchLabels": {"app": "nobody"}}}]}]})
    assert not scene.near.reaches(scene.web.address)
    assert scene.from_node(scene.nodes[0], scene.web.address)


def test_named_ports_and_the_union_of_policies(scene: Scene) -> None:
    scene.apply(
        named={**WEB, "ingress": [{"ports": [{"port": "http"}]}]},
        clients={**WEB, "ingress": [{"from": [CLIENTS], "ports": [{"port": 80}]}]},
    )
    assert scene.other.reaches(scene.web.address, 8080)
    assert not scene.other.reaches(scene.web.address, 80)
    assert scene.far.reaches(scene.web.address, 80)
    assert scene.other.reaches(SERVICE)


def test_a_block_with_exceptions(scene: Scene) -> None:
    block = {"cidr": "10.244.0.0/16", "except": [f"{scene.far.address}/32"]}
    scene.apply(block={**WEB, "ingress": [{"from": [{"ipBlock": block}, {"ipBlock": {"cidr": "2001:db8::/32"}}]}]})
    assert scene.near.reaches(scene.web.address)
    assert scene.other.reaches(scene.web.address)
    assert not scene.far.reaches(scene.web.address)


def test_egress_is_judged_by_the_pod_behind_a_service(scene: Scene) -> None:
    out = {**CLIENTS, "policyTypes": ["Egress"]}
    scene.apply(out={**out, "egress": [{"to": [WEB], "ports": [{"port": 8080}]}]})
    assert scene.near.reaches(SERVICE)
    assert scene.far.reaches(SERVICE)
    assert not scene.far.reaches(scene.web.address, 80)
    assert not scene.near.reaches(scene.other.address, 8080)
    assert scene.other.reaches(scene.far.address)
    assert scene.from_node(scene.nodes[0], scene.near.address)
    scene.apply(out={**out, "egress": []})
    assert not scene.near.reaches(SERVICE)
    assert not scene.far.reaches(scene.web.address, 8080)


def test_labels_and_policies_change_while_connections_live(scene: Scene) -> None:
    scene.apply(clients={**WEB, "ingress": [{"from": [CLIENTS]}]})
    assert scene.far.reaches(scene.web.address)
    assert not scene.other.reaches(scene.web.address)
    scene.label(scene.other, app="client")
    assert scene.other.reaches(scene.web.address)
    scene.label(scene.other, app="other")
    scene.label(scene.far, app="other")
    assert not scene.far.reaches(scene.web.address)
    scene.label(scene.web, app="retired")
    assert scene.far.reaches(scene.web.address)
    scene.label(scene.web, app="web")
    scene.label(scene.far, app="client")
    scene.apply()
    assert scene.other.reaches(scene.web.address)


def test_a_pod_reaches_its_own_node_whatever_policies_say(scene: Scene) -> None:
    scene.apply(out={**CLIENTS, "policyTypes": ["Egress"], "egress": []})
    first, second = scene.nodes
    for address in own_addresses(first):
        assert scene.near.reaches(address)
        assert not scene.far.reaches(address)
    for address in own_addresses(second):
        assert scene.far.reaches(address)
        assert not scene.near.reaches(address)
    assert not scene.near.reaches(scene.web.address)
    assert scene.web.reaches(own_addresses(second)[0])


@pytest.fixture
def conversation(scene: Scene) -> Iterator[Callable[[Pod, str], Conversation]]:
    with contextlib.ExitStack() as stack:

        def begin(pod: Pod, address: str) -> Conversation:
            made = Conversation(pod, address)
            stack.callback(made.close)
            return made

        yield begin


def test_connections_go_on_through_changes_that_still_allow_them(
    scene: Scene, conversation: Callable[[Pod, str], Conversation]
) -> None:
    scene.apply()
    talks = [conversation(pod, address) for pod in (scene.near, scene.far) for address in (scene.web.address, SERVICE)]
    by_peers = {**WEB, "ingress": [{"from": [CLIENTS]}]}
    by_block = {**WEB, "ingress": [{"from": [{"ipBlock": {"cidr": "10.244.0.0/16"}}]}]}
    by_port = {**WEB, "ingress": [{"ports": [{"port": 80}, {"port": 8080}]}]}
    out = {**CLIENTS, "policyTypes": ["Egress"], "egress": [{"to": [WEB]}]}
    for policies in (
        {"one": by_peers},
        {"one": by_peers, "two": by_block},
        {"two": by_block},
        {"two": by_port},
        {"two": by_port, "out": out},
        {},
    ):
        scene.apply(**policies)
        assert [talk.goes_on() for talk in talks] == [True] * 4, policies


def test_connections_that_a_policy_denies_from_now_on_stand_still(
    scene: Scene, conversation: Callable[[Pod, str], Conversation]
) -> None:
    """Kubernetes leaves it open. Here a policy counts for every packet, and one that goes away lets them go on."""
    allowed = {**WEB, "ingress": [{"from": [CLIENTS]}]}
    scene.apply(clients=allowed)
    talk = conversation(scene.far, scene.web.address)
    assert talk.goes_on()
    scene.label(scene.far, app="other")
    assert not talk.goes_on()
    scene.label(scene.far, app="client")
    eventually(talk.goes_on, "it goes on")
    scene.apply(clients=allowed, out={**CLIENTS, "policyTypes": ["Egress"], "egress": []})
    assert not talk.goes_on()
    # One that began when there were no policies at all.
    scene.apply()
    talks = [conversation(pod, address) for pod in (scene.near, scene.far) for address in (scene.web.address, SERVICE)]
    assert all(talk.goes_on() for talk in talks)
    scene.apply(deny=WEB)
    assert [talk.goes_on() for talk in talks] == [False] * 4
    scene.apply()
    for talk in talks:
        eventually(talk.goes_on, "it goes on")


def test_what_is_logged_is_limited(scene: Scene) -> None:
    log = scene.nodes[0].directory / "ovn-controller.log"

    def flood() -> tuple[int, float]:
        before, begun = log.read_text().count("acl_log"), time.monotonic()
        script = f"""
import socket, time
one = socket.socket(type=socket.SOCK_DGRAM)
for number in range(400):
    one.sendto(b"x", ("{scene.web.address}", 80)); time.sleep(0.004)
"""
        netns = f"/run/netns/{scene.other.netns}"
        subprocess.run(["nsenter", f"--net={netns}", sys.executable, "-IS", "-c", script], check=True)
        took = time.monotonic() - begun
        time.sleep(1)
        return log.read_text().count("acl_log") - before, took

    scene.apply(deny=WEB)
    try:
        assert flood()[0] == 0
        scene.log(deny="alert")
        lines, took = flood()
        assert 0 < lines <= LOG_RATE * (took + 2)
        assert lines < 300
        last = [line for line in log.read_text().splitlines() if "acl_log" in line][-1]
        assert "verdict=drop, severity=alert" in last
        assert 'name="shop/deny:in:deny:' in last
    finally:
        scene.log()


def test_a_server_that_talks_by_itself_does_not_keep_a_denied_connection_alive(scene: Scene) -> None:
    """No policy hinders its pod to send, so only the connection's own state says no."""
    scene.apply()
    inside, outside = (["nsenter", f"--net=/run/netns/{pod.netns}", sys.executable, "-IS", "-c"]
                       for pod in (scene.web, scene.far))  # fmt: skip
    with contextlib.ExitStack() as stack:
        teller = subprocess.Popen([*inside, TELLER], stdout=subprocess.PIPE, text=True)
        stack.callback(teller.communicate)
        stack.callback(teller.kill)
        assert teller.stdout
        assert teller.stdout.readline() == "ready\n"
        command = [*outside, LISTENER, scene.web.address]
        listener = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        stack.callback(listener.communicate)
        stack.callback(listener.kill)

        def hears() -> bool:
            assert listener.stdin
            assert listener.stdout
            listener.stdin.write("?\n")
            listener.stdin.flush()
            return listener.stdout.readline() == "yes\n"

        assert listener.stdout
        assert listener.stdout.readline() == "4\n"
        assert hears()
        scene.apply(deny=WEB)
        hears()  # what was under way
        assert not hears()
        assert not scene.far.reaches(scene.web.address)
