# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""Which objects are looked at again for which change of the database."""

from __future__ import annotations

from typing import Any

import pytest

from ovn_k8s.core.database import StoredRow
from ovn_k8s.core.values import Uuid
from ovn_k8s.ovsdb.monitor import RowChange
from ovn_k8s.watcher.news import PORT, SURROUNDINGS, SWITCH, News
from ovn_k8s.watcher.workqueue import Key, WorkQueue

KINDS = ("pod", "node", "service", "policy")
POD, NODE, SERVICE = Key("pod", "shop", "web"), Key("node", "", "linux1"), Key("service", "shop", "web")
WAITING = Key("service", "shop", "other")


class Balancers:
    """A database with one load balancer."""

    def get(self, table: str, uuid: str) -> StoredRow | None:
        return StoredRow(table, Uuid(uuid), row("lb", str(SERVICE))) if uuid == "u1" else None


def row(name: str, owner: str = "", **columns: Any) -> dict[str, Any]:
    return {"name": name, "external_ids": {"ovn-k8s-owner": owner} if owner else {}, **columns}


def told(table: str, old: dict[str, Any] | None, new: dict[str, Any] | None, *ours: Key) -> tuple[set[Key], Any]:
    """What one change puts into the queue, while one about `ours` is under way; and what was heard of them."""
    queue = WorkQueue()
    news = News(queue, KINDS, {WAITING: "a group", POD: "an address"})
    news.expect(ours)
    database: Any = Balancers()
    news.tell([RowChange(table, Uuid("u"), old, new)], database)
    return set(queue.take(100, 0)), news.heard()


@pytest.mark.parametrize(
    ("table", "old", "new", "keys"),
    [
        ("Logical_Switch_Port", None, row("shop_web", "pod/shop/web"), {POD}),
        ("Logical_Switch_Port", row("shop_web", "pod/shop/web"), None, {POD}),
        ("Logical_Switch_Port", row("vm"), row("vm", addresses={"a"}), {Key(PORT, "", "vm")}),
        ("Logical_Switch_Port", row("vm"), None, {Key(PORT, "", "vm")}),
        ("Logical_Switch_Port", row("vm"), row("vm", options={"a": "b"}), set()),
        ("Logical_Switch_Port", row("x", "pod/shop/web"), row("x"), {POD, Key(PORT, "", "x")}),
        ("Logical_Switch", row("linux1", "node/linux1"), row("linux1", "node/linux1", ports={"p"}), set()),
        ("Logical_Switch", row("a", "x/a"), row("b", "x/a"), {Key(SWITCH, "", "a"), Key(SWITCH, "", "b")}),
        ("Logical_Switch", row("s", "node/linux1", load_balancer={"u1"}), row("s", "node/linux1"), {SERVICE}),
        ("Logical_Router", None, row("r"), {Key(SURROUNDINGS, "", "")}),
        ("Logical_Router_Static_Route", row("", "node/linux1"), None, {NODE, Key(SURROUNDINGS, "", "")}),
        ("Load_Balancer_Group", None, row("g"), {WAITING}),
        ("Load_Balancer_Group", row("g", load_balancer={"u1", "u2"}), row("g", load_balancer={"u2"}), {SERVICE}),
        ("ACL", row("a", "policy/shop"), None, set()),
        ("ACL", row("a", "stranger/of/ours"), None, set()),
    ],
)
def test_who_is_looked_at_again(
    table: str, old: dict[str, Any] | None, new: dict[str, Any] | None, keys: set[Key]
) -> None:
    assert told(table, old, new) == (keys, {})


def test_what_our_own_transaction_changed_is_counted_and_nothing_more() -> None:
    assert told("ACL", None, row("a", "policy/shop/web"), Key("policy", "shop", "web")) == (
        set(),
        {"policy/shop/web": 1},
    )
