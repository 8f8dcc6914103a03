# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""Peers kept in step with an API server, and routes with them (evidence: unit; the server is a small one of ours)."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from api_server import ApiServer, certificates
from model_hcn import ModelHcn
from test_hybrid_overlay import TEXT, node

from ovn_k8s.core.hybrid_overlay import ROUTER_MAC_ANNOTATION
from ovn_k8s.windows import config
from ovn_k8s.windows.agent import Agent
from ovn_k8s.windows.api import Access, Api, ApiError
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


def test_certificates_are_checked_on_both_sides(server: ApiServer, keys: Path, tmp_path: Path) -> None:
    certificates(tmp_path)
    right = access(server, keys)
    assert Api(right).get("/api/v1/nodes")["items"]
    with pytest.raises(ApiError, match="CERTIFICATE_VERIFY_FAILED"):
        Api(replace(right, ca_certificate=tmp_path / "ca.crt")).get("/api/v1/nodes")
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
