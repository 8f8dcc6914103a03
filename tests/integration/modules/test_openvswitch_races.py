# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""Two writers on one Open vSwitch, 200 times: nothing of either is lost, nothing is there twice, what goes is gone."""

from __future__ import annotations

import importlib
import sys
import threading
from typing import Any

import pytest
from module_runner import PACKAGE, collections_path, run_module
from ovsdb_servers import Server

sys.path.insert(0, str(collections_path()))
UTILS = "ansible_collections.ovn_k8s.cluster.plugins.module_utils"

ROUNDS = 200
LIFE = 5
"""Rounds after which both writers want a port away, so that the switch stays small."""
WRITERS = ("one", "two")


def given(spec: dict[str, Any], **options: Any) -> dict[str, Any]:
    """An item as Ansible makes it of what is given."""
    return {name: option.get("default") for name, option in spec["options"].items()} | options


def vlan(writer: str, number: int) -> int:
    """Another one for every writer and round."""
    return 1000 * WRITERS.index(writer) + number


class Writer:
    """Plans as ovs_bridge and ovs_port do, over a connection that stays."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.bridge = importlib.import_module(f"{PACKAGE}.ovs_bridge")
        self.port = importlib.import_module(f"{PACKAGE}.ovs_port")
        self.wish = importlib.import_module(f"{UTILS}.database_module").Wish

    def _port(self, name: str, **options: Any) -> dict[str, Any]:
        return given(self.port.PORTS, name=name, **options)

    def plan(self, number: int, actual: Any) -> Any:
        """A bridge of which each wants a part, a port of its own, every other time one that both want; old ones go.

        VLANs are written whole, as they were read and one more: only what a commit verifies keeps the other's.
        """
        stored = actual.find("Bridge", "br0")
        vlans = [*(stored.columns["flood_vlans"] if stored else ()), vlan(self.name, number)]
        ids = {f"{self.name}{number}": "here"}
        bridge = given(self.bridge.BRIDGES, name="br0", flood_vlans=vlans, external_ids=ids)
        ports = [self._port(f"{self.name}{number}", bridge="br0")]
        if number % 2:  # where both make it, the server's index of names refuses one, which then reads anew
            ports.append(self._port(f"p{number}", bridge="br0", tag=number, external_ids={self.name: "here"}))
        old = number - LIFE
        away = [self._port(f"{name}{old}", state="absent") for name in ("p", *WRITERS)] if old >= 0 else []
        rows = [*self.bridge.wanted_rows(bridge, actual)]
        rows += [row for port in ports for row in self.port.port_rows(port, actual)]
        return self.wish(rows, [key for port in away for key in self.port.gone(port, actual)]).plan(actual)

    def tables(self) -> list[str]:
        return list(dict.fromkeys([*self.bridge.READ, *self.port.READ]))


@pytest.mark.timeout(600)
def test_two_writers_on_one_switch(ovs_server: Server) -> None:
    client_module = importlib.import_module(f"{UTILS}.ovsdb.client")
    remotes = importlib.import_module(f"{UTILS}.ovsdb.remote").parse_remotes(ovs_server.remote)
    together, failures, overtaken = threading.Barrier(len(WRITERS)), [], []

    def write(name: str) -> None:
        writer = Writer(name)
        try:
            with client_module.Client(remotes, "Open_vSwitch") as client:
                for number in range(ROUNDS):
                    plans = []

                    def plan(actual: Any, number: int = number, plans: list[Any] = plans) -> Any:
                        plans.append(writer.plan(number, actual))
                        return plans[-1]

                    together.wait(60)
                    client.converge(writer.tables(), plan)
                    overtaken.extend(plans[1:])
        except BaseException as error:
            failures.append(error)
            together.abort()

    threads = [threading.Thread(target=write, args=(name,)) for name in WRITERS]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures, failures
    assert len(overtaken) > ROUNDS / 4, "they were hardly ever in each other's way"

    (bridge,) = ovs_server.rows("Bridge")
    assert bridge["external_ids"] == {f"{name}{number}": "here" for name in WRITERS for number in range(ROUNDS)}
    assert set(bridge["flood_vlans"]) == {vlan(name, number) for name in WRITERS for number in range(ROUNDS)}
    ports = ovs_server.rows("Port")
    left = range(ROUNDS - LIFE, ROUNDS)
    both = [number for number in left if number % 2]
    own = [f"{name}{number}" for name in WRITERS for number in left]
    expected = sorted(["br0", *own, *(f"p{number}" for number in both)])
    assert sorted(port["name"] for port in ports) == expected
    assert sorted(row["name"] for row in ovs_server.rows("Interface")) == expected
    assert sorted(bridge["ports"]) == sorted(port["_uuid"] for port in ports)
    shared = {port["name"]: port for port in ports if port["name"].startswith("p")}
    for number in both:
        port = shared[f"p{number}"]
        assert (port["tag"], port["external_ids"]) == (number, {"one": "here", "two": "here"})
    again = [{"name": f"p{number}", "bridge": "br0", "tag": number} for number in both]
    assert not run_module("ovs_port", remote=ovs_server.remote, wait=False, ports=again)["changed"]
