# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""Moments at which a pod could be open: it goes while it is being written, or went while nobody watched."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from ipaddress import IPv4Network
from typing import Any

from ovn_k8s.core.database import StoredRow
from ovn_k8s.core.ipam import AddressBook
from ovn_k8s.core.pods import pod_from_api
from ovn_k8s.core.policies import Namespace, policy_from_api
from ovn_k8s.core.policy_rows import policy_group
from ovn_k8s.core.rows import Ref, Row
from ovn_k8s.watcher.handler import Wish
from ovn_k8s.watcher.policies import NODES_KEY, Policies, PolicyHandler
from ovn_k8s.watcher.workqueue import Key

SERVICES = IPv4Network("10.96.0.0/16")
DENY = policy_from_api({"metadata": {"namespace": "shop", "name": "deny"}, "spec": {"podSelector": {}}})
WEB = policy_from_api(
    {"metadata": {"namespace": "shop", "name": "web"}, "spec": {"podSelector": {"matchLabels": {"app": "web"}}}}
)


def pod(name: str, **labels: str) -> Any:
    return pod_from_api(
        {
            "metadata": {"namespace": "shop", "name": name, "uid": name, "labels": labels},
            "spec": {"nodeName": "linux1"},
            "status": {},
        }
    )


class Cache:
    """An informer's, of these objects."""

    def __init__(self, *objects: Any) -> None:
        self.objects = {one.key: one for one in objects}

    def all(self) -> list[Any]:
        return list(self.objects.values())

    def get(self, key: Any) -> Any:
        return self.objects.get(key)


class Rows:
    """A database of ports, and of the groups that they are in."""

    def __init__(self, groups: dict[str, Iterable[str]], *ports: str) -> None:
        self._ports = {
            f"uuid-{name}": StoredRow(
                "Logical_Switch_Port",
                f"uuid-{name}",
                {"name": f"shop_{name}", "external_ids": {"ovn-k8s-owner": f"pod/shop/{name}"}},
            )
            for name in ports
        }
        self._groups = {
            policy_group("shop", name): StoredRow(
                "Port_Group", f"uuid-group-{name}", {"name": name, "ports": frozenset(f"uuid-{one}" for one in members)}
            )
            for name, members in groups.items()
        }

    def find(self, table: str, name: str) -> StoredRow | None:
        if table == "Port_Group":
            return self._groups.get(name)
        return next((row for row in self._ports.values() if row.columns["name"] == name), None)

    def get(self, table: str, uuid: str) -> StoredRow | None:
        return self._ports.get(uuid)

    def rows(self, table: str) -> Iterator[StoredRow]:
        return iter(self._ports.values())


def policies(pods: Cache, *found: Any) -> Policies:
    made = Policies(pods, Cache(Namespace("shop")), Cache(*found), AddressBook(), SERVICES)  # type: ignore[arg-type]
    made.prepare()
    return made


def members(made: Policies, name: str, database: Rows) -> set[object]:
    wish = PolicyHandler(made).wish(Key("policy", "shop", name), database)  # type: ignore[arg-type]
    group: Row = next(row for row in wish.rows if row.table == "Port_Group")
    return set(group.columns["ports"])


def test_a_port_whose_pod_went_unseen_leaves_its_groups_with_itself() -> None:
    made = policies(Cache(pod("here")), DENY)
    database = Rows({"deny": ["here", "gone"]}, "here", "gone")
    assert members(made, "deny", database) == {"uuid-here", "uuid-gone"}


def test_a_port_whose_pod_is_there_and_not_selected_leaves() -> None:
    made = policies(Cache(pod("here", app="other")), WEB)
    database = Rows({"web": ["here", "gone"]}, "here", "gone")
    assert members(made, "web", database) == {"uuid-gone"}


def test_a_pod_that_goes_while_it_is_written_has_its_policies() -> None:
    cache = Cache()  # it is gone from there already
    made = policies(cache, DENY)
    database = Rows({"deny": []})
    key = Key("pod", "shop", "quick")
    wishes = {key: Wish((Row("Logical_Switch_Port", "shop_quick"),))}
    brought = made.together([key], wishes, {("shop", "quick"): pod("quick")}, database)  # type: ignore[arg-type]
    assert brought == {Key("policy", "shop", "deny")}
    assert members(made, "deny", database) == {Ref("Logical_Switch_Port", "shop_quick")}


def test_what_policies_share_comes_with_the_first_and_goes_with_the_last() -> None:
    cache = Cache(DENY)
    made = Policies(Cache(), Cache(), cache, AddressBook(), SERVICES)  # type: ignore[arg-type]
    database: Any = Rows({})
    first, second = Key("policy", "shop", "deny"), Key("policy", "shop", "web")
    assert NODES_KEY in made.together([first], {}, {}, database)
    assert NODES_KEY in made.together([first], {}, {}, database), "until it is settled"
    made.settled(first)
    cache.objects[WEB.key] = WEB
    assert NODES_KEY not in made.together([second], {}, {}, database)
    cache.objects.clear()
    assert NODES_KEY not in made.together([first], {}, {}, database)
    assert NODES_KEY in made.together([second], {}, {}, database)


def test_a_policy_with_a_rule_that_cannot_be_read_is_enforced_and_spoken_of() -> None:
    spec = {"podSelector": {}, "ingress": [{"from": [{"ipBlock": {"cidr": "nowhere"}}]}]}
    odd = policy_from_api({"metadata": {"namespace": "shop", "name": "odd"}, "spec": spec})
    wish = PolicyHandler(policies(Cache(pod("here")), odd)).wish(Key("policy", "shop", "odd"), Rows({}, "here"))  # type: ignore[arg-type]
    assert {row.columns["action"] for row in wish.rows if row.table == "ACL"} == {"drop", "allow-related"}
    assert "rule 1 (from) cannot be read" in wish.waits_for
