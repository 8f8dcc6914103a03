# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""Peers kept in step with an API server, and routes with them (evidence: unit; the server is a small one of ours)."""

from __future__ import annotations

import copy
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path
from typing import Any

import pytest
from api_server import ApiServer, certificates
from model_hcn import ModelHcn
from test_hybrid_overlay import TEXT, node

from lab.windows.hcn_model import Fault
from ovn_k8s.core.hybrid_overlay import ROUTER_MAC_ANNOTATION
from ovn_k8s.windows import config
from ovn_k8s.windows.agent import Agent
from ovn_k8s.windows.api import Access, Api, ApiError
from ovn_k8s.windows.hybrid_overlay import Peer
from ovn_k8s.windows.nodes import Nodes


def wait(condition: Callable[[], bool], seconds: float = 15.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("keys")
    certificates(folder)
    return folder


@pytest.fixture
def server(keys: Path) -> Iterator[ApiServer]:
    made = ApiServer(keys)
    made.put(node("linux1", "10.244.1.0/24", "192.0.2.12", "0a:58:0a:f4:01:03"))
    made.put(node("win1", "10.244.5.0/24", "192.0.2.21", None))
    yield made
    made.cut()
    made.shutdown()
    made.server_close()


def access(server: ApiServer, keys: Path) -> Access:
    return Access(server.address, keys / "ca.crt", keys / "client.crt", keys / "client.key")


@pytest.fixture
def nodes(server: ApiServer, keys: Path) -> Iterator[Nodes]:
    changed = threading.Event()
    made = Nodes(Api(access(server, keys)), "win1", changed.set, first_delay=0.05)
    assert made.peers() is None
    made.start()
    wait(lambda: made.peers() is not None)
    yield made
    made.stop()


def names(nodes: Nodes) -> list[str]:
    return [peer.name for peer in nodes.peers() or ()]


def test_peers_follow_the_nodes(server: ApiServer, nodes: Nodes) -> None:
    assert names(nodes) == ["linux1"]
    wait(lambda: bool(server.watches))
    second = node("linux2", "10.244.2.0/24", "192.0.2.13", "0a:58:0a:f4:02:03")
    server.put(second, "ADDED")
    wait(lambda: names(nodes) == ["linux1", "linux2"])
    server.tell({"type": "BOOKMARK", "object": {"metadata": {"resourceVersion": "999"}}})
    server.put(second, "DELETED")
    wait(lambda: names(nodes) == ["linux1"])
    assert server.lists == 1


def test_a_watch_that_ends_or_expires_is_made_again(server: ApiServer, nodes: Nodes) -> None:
    wait(lambda: bool(server.watches))
    server.cut()
    wait(lambda: bool(server.watches))
    assert server.lists == 1
    server.tell({"type": "ERROR", "object": {"code": 410, "message": "too old"}})
    wait(lambda: server.lists == 2)
    assert names(nodes) == ["linux1"]


def test_while_nobody_answers_what_was_known_holds(server: ApiServer, nodes: Nodes) -> None:
    wait(lambda: bool(server.watches))
    server.refuse = 503
    server.nodes.clear()
    server.cut()
    time.sleep(0.5)
    assert names(nodes) == ["linux1"]
    server.refuse = 0
    wait(lambda: names(nodes) == [])


class Clock(threading.Event):
    """Time that passes only where somebody waits."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0

    def wait(self, timeout: float | None = None) -> bool:
        assert timeout is not None
        self.now += timeout
        return self.is_set()


class Away:
    """An API server that is away from second 1 to second 301, and has lost a node when it comes back."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.asked: list[float] = []
        self.seen: list[list[str]] = []
        self.made: Nodes | None = None

    def get(self, path: str, query: Any = None) -> dict[str, Any]:
        self.asked.append(self.clock.now)
        assert self.made is not None
        self.seen.append(names(self.made))
        items = [node("linux1", "10.244.1.0/24", "192.0.2.12", "0a:58:0a:f4:01:03")]
        if self.clock.now >= 301:
            items = []
        elif self.clock.now >= 1:
            raise ApiError("no answer")
        return {"metadata": {"resourceVersion": "7"}, "items": items}

    def watch(self, path: str, resource_version: str, seconds: int) -> Iterator[dict[str, Any]]:
        if self.clock.now >= 301:
            self.clock.set()
        elif self.clock.now >= 1:
            raise ApiError("no answer")
        yield from ()


def test_five_minutes_without_an_api_server_change_nothing() -> None:
    clock = Clock()
    api = Away(clock)
    changes: list[float] = []
    made = Nodes(api, "win1", lambda: changes.append(clock.now))  # type: ignore[arg-type]
    made._stop = clock
    api.made = made
    made.run()
    while_away = [seen for at, seen in zip(api.asked, api.seen, strict=True) if at >= 1]
    # Asked again and again, slower each time, and never thought that nodes have gone.
    assert while_away == [["linux1"]] * len(while_away)
    assert 10 <= len(while_away) <= 30
    assert max(later - earlier for earlier, later in zip(api.asked, api.asked[1:], strict=False)) <= 31
    # Back: what has changed meanwhile is seen within one pause.
    assert names(made) == []
    assert len(changes) == 2
    assert 301 <= changes[1] <= 332


@pytest.mark.parametrize(
    "document",
    [
        {},
        {"items": []},
        {"kind": "Status", "metadata": {}, "status": "Success"},
        {"metadata": {"resourceVersion": "7"}, "items": "none"},
        {"metadata": {"resourceVersion": "7"}, "items": ["linux1"]},
        {"metadata": {"resourceVersion": "7"}, "items": [{"metadata": {"name": "n", "annotations": 3}}]},
        {"metadata": "none", "items": []},
    ],
)
def test_a_list_that_is_none_takes_no_route_away(document: dict[str, Any]) -> None:
    clock = Clock()
    good = {
        "metadata": {"resourceVersion": "7"},
        "items": [node("linux1", "10.244.1.0/24", "192.0.2.12", "0a:58:0a:f4:01:03")],
    }
    answers = [good, document]

    class Malformed(Away):
        def get(self, path: str, query: Any = None) -> dict[str, Any]:
            if answers:
                return answers.pop(0)
            clock.set()
            raise ApiError("no more")

        def watch(self, path: str, resource_version: str, seconds: int) -> Iterator[dict[str, Any]]:
            raise ApiError("broken")

    made = Nodes(Malformed(clock), "win1", lambda: None)  # type: ignore[arg-type]
    made._stop = clock
    made.run()
    assert not answers
    assert names(made) == ["linux1"]


@pytest.mark.parametrize(
    "event", [["x"], "x", 7, None, {"type": "ADDED", "object": "x"}, {"type": "ADDED", "object": 7}]
)
def test_a_watch_that_tells_nonsense_ends_nothing(server: ApiServer, nodes: Nodes, event: Any) -> None:
    wait(lambda: bool(server.watches))
    server.tell({"type": "BOOKMARK", "object": event})
    server.tell({"type": "MODIFIED", "object": event})
    server.tell(event)
    second = node("linux2", "10.244.2.0/24", "192.0.2.13", "0a:58:0a:f4:02:03")
    server.put(second, "ADDED")
    wait(lambda: names(nodes) == ["linux1", "linux2"])


def test_certificates_are_checked_on_both_sides(server: ApiServer, keys: Path, tmp_path: Path) -> None:
    certificates(tmp_path)
    right = access(server, keys)
    assert Api(right).get("/api/v1/nodes")["items"]
    with pytest.raises(ApiError, match="CERTIFICATE_VERIFY_FAILED"):
        Api(replace(right, ca_certificate=tmp_path / "ca.crt")).get("/api/v1/nodes")
    port = right.server.rpartition(":")[2]
    with pytest.raises(ApiError, match=r"CERTIFICATE_VERIFY_FAILED.*localhost"):
        Api(replace(right, server=f"https://localhost:{port}")).get("/api/v1/nodes")
    stranger = replace(right, certificate=tmp_path / "client.crt", private_key=tmp_path / "client.key")
    with pytest.raises(ApiError, match="/api/v1/nodes"):
        Api(stranger).get("/api/v1/nodes")
    with pytest.raises(ApiError, match=r"No such file"):
        Api(replace(right, certificate=tmp_path / "none.crt")).get("/api/v1/nodes")
    server.refuse = 403
    with pytest.raises(ApiError, match="was answered with 403: not now"):
        Api(right).get("/api/v1/nodes")


def test_the_agent_keeps_routes_and_announces_its_router(server: ApiServer, keys: Path, tmp_path: Path) -> None:
    file = tmp_path / "node.toml"
    lines = [f'{key} = "{keys / name}"' for key, name in (("ca_certificate", "ca.crt"), ("certificate", "client.crt"))]
    lines += [f'server = "{server.address}"', f'private_key = "{keys / "client.key"}"']
    file.write_text(TEXT + "[kubernetes]\n" + "\n".join(lines) + "\n")
    here = config.load(file)
    assert here.kubernetes is not None
    library = ModelHcn()
    found: list[Agent] = []
    nodes = Nodes(Api(here.kubernetes), "win1", lambda: found[0].look() if found else None, first_delay=0.05)
    agent = Agent(library, here, nodes.peers, nodes.announce, round_seconds=60)
    found.append(agent)
    nodes.start()
    thread = threading.Thread(target=agent.run, daemon=True)
    thread.start()

    def routes() -> list[str]:
        return sorted(
            policy["Settings"]["ProviderAddress"]
            for network in list(library.model.state.networks.values())
            for policy in network["Policies"]
            if policy["Type"] == "RemoteSubnetRoute"
        )

    wait(lambda: routes() == ["192.0.2.12"])
    wait(lambda: bool(server.patches))
    path, patch = server.patches[0]
    assert path == "/api/v1/nodes/win1"
    mac: Any = patch["metadata"]["annotations"][ROUTER_MAC_ANNOTATION]
    assert mac.startswith("00:15:5d:")
    server.put(node("linux2", "10.244.2.0/24", "192.0.2.13", "0a:58:0a:f4:02:03"), "ADDED")
    wait(lambda: routes() == ["192.0.2.12", "192.0.2.13"])
    assert len(server.patches) == 1
    agent.stop()
    nodes.stop()
    thread.join(10)
    assert not thread.is_alive()


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ('server = "https://x"', r"\[kubernetes\] needs server, ca_certificate, certificate, private_key"),
        (
            'server = "http://x"\nca_certificate = "a"\ncertificate = "b"\nprivate_key = "c"',
            "'http://x', not an https",
        ),
        ('server = 7\nca_certificate = "a"\ncertificate = "b"\nprivate_key = "c"', "a value that is no text"),
    ],
)
def test_access_that_cannot_be(tmp_path: Path, section: str, message: str) -> None:
    file = tmp_path / "node.toml"
    file.write_text(TEXT + "[kubernetes]\n" + section + "\n")
    with pytest.raises(config.ConfigError, match=message):
        config.load(file)


@pytest.mark.parametrize(
    ("function", "answer"),
    [
        ("HcnEnumerateNetworks", "{}"),
        ("HcnQueryNetworkProperties", "[]"),
        ("HcnQueryNetworkProperties", '{"ID": 7}'),
        ("HcnQueryNetworkProperties", '{"ID": "x", "Ipams": 7}'),
        ("HcnQueryNetworkProperties", '{"ID": "88888888-8888-4888-8888-888888888888", "Policies": [7]}'),
        ("HcnQueryNetworkProperties", "{"),
        ("HcnEnumerateEndpoints", "not json"),
        ("HcnQueryEndpointProperties", '{"IpConfigurations": {}}'),
    ],
)
def test_malformed_answers_of_hns_tear_nothing_down(tmp_path: Path, function: str, answer: str) -> None:
    file = tmp_path / "node.toml"
    file.write_text(TEXT)
    library = ModelHcn()
    peer = Peer("linux1", IPv4Network("10.244.1.0/24"), IPv4Address("192.0.2.12"), "0a:58:0a:f4:01:03")
    agent = Agent(library, config.load(file), lambda: (peer,), round_seconds=0.05)
    agent.round()
    networks, endpoints = (copy.deepcopy(one) for one in (library.model.state.networks, library.model.state.endpoints))
    assert networks
    assert endpoints
    fault = library.model.faults[function] = Fault(answer=answer)
    library.model.calls.clear()
    thread = threading.Thread(target=agent.run)
    thread.start()
    wait(lambda: not fault.times and library.model.calls.count("HcnEnumerateNetworks") >= 3)
    agent.stop()
    thread.join()
    assert library.model.state.networks == networks
    assert library.model.state.endpoints == endpoints
    assert not [call for call in library.model.calls if call.startswith("HcnDelete")]
