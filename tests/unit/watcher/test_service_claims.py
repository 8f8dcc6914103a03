# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""Of several services that claim one external address and port the oldest has it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from ovn_k8s.core.database import Database
from ovn_k8s.core.schema import parse_schema
from ovn_k8s.core.services import Service, ServicePort
from ovn_k8s.watcher.services import KIND, ServiceHandler
from ovn_k8s.watcher.workqueue import Key

ADDRESS = "203.0.113.5"
IDS = {"type": {"key": "string", "value": "string", "min": 0, "max": "unlimited"}}
NAMED = {"columns": {"name": {"type": "string"}, "external_ids": IDS}, "isRoot": True}
TABLES = ("Logical_Switch", "Logical_Router", "Logical_Router_Static_Route", "Load_Balancer_Group")


def service(name: str, created: int, *ports: int) -> Service:
    numbers = tuple(ServicePort(str(port), "TCP", port) for port in ports or (80,))
    created_at = f"2026-01-01T00:00:{created:02}Z"
    return Service("d", name, ("10.96.0.9",), numbers, external_ips=(ADDRESS,), created=created_at)


class World:
    """A handler, the services that it knows, and which it wants looked at again."""

    def __init__(self, *services: Service) -> None:
        self.services = {one.key: one for one in services}
        self.again: list[str] = []
        document = {"name": "OVN_Northbound", "version": "7.0.0", "tables": dict.fromkeys(TABLES, NAMED)}
        self.database = Database(parse_schema(document))
        self.database.put("Load_Balancer_Group", "1", {"name": "clusterLBGroup", "external_ids": {}})
        self.handler = ServiceHandler(self, self, lambda keys: self.again.extend(sorted(key.name for key in keys)))  # type: ignore[arg-type]
        self.handler.prepare(self.database)

    def get(self, key: tuple[str, str]) -> Service | None:
        return self.services.get(key)

    def all(self) -> list[Service]:
        return list(self.services.values())

    def indexed(self, key: tuple[str, str]) -> list[Any]:
        return []

    def put(self, one: Service) -> None:
        self.services[one.key] = one

    def look(self, name: str) -> tuple[set[int], str]:
        """At which ports a service has the address, and what it is told."""
        wish = self.handler.wish(Key(KIND, "d", name), self.database)
        vips = {vip for row in wish.rows for vip in row.columns["vips"] if vip.startswith(ADDRESS)}
        return {int(vip.rpartition(":")[2]) for vip in vips}, wish.refused


def test_the_oldest_has_it_whoever_is_looked_at_first() -> None:
    world = World(service("a", 2, 80, 81), service("b", 1), service("c", 3))
    for name in ("a", "c"):
        ports, told = world.look(name)
        assert ports == ({81} if name == "a" else set())
        assert told == f"{ADDRESS}:80/TCP belongs to the older service d/b"
    assert world.look("b") == ({80}, "")
    assert world.again == []


def test_of_one_second_the_first_by_name_is_the_oldest() -> None:
    world = World(service("b", 1), service("a", 1))
    assert (world.look("a")[0], world.look("b")[0]) == ({80}, set())


def test_what_becomes_free_goes_to_the_next() -> None:
    world = World(service("a", 1), service("b", 2), service("c", 3))
    del world.services["d", "a"]
    assert world.look("a") == (set(), "")
    assert world.again == ["b", "c"]
    assert (world.look("b"), world.look("c")[0]) == (({80}, ""), set())
    world.put(replace(world.services["d", "b"], external_ips=()))
    world.look("b")
    assert world.look("c") == ({80}, "")


def test_an_older_one_takes_it_when_it_claims_it() -> None:
    world = World(replace(service("a", 1), external_ips=()), service("b", 2))
    assert world.look("b") == ({80}, "")
    world.put(service("a", 1))
    assert world.look("a") == ({80}, "")
    assert world.again == ["b"]
    assert world.look("b")[0] == set()


def test_an_endpoint_that_changes_is_nothing_to_others() -> None:
    world = World(service("a", 1), service("b", 2))
    world.look("a")
    world.look("a")
    assert world.again == []
