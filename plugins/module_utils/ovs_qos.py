# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""Quality of service of a port: its row of the table QoS and the rows of its queues (ovs-vswitchd.conf.db(5)).

Both tables are roots of the schema, so nothing removes their rows with the port. Those that we make are marked with the
name of the port; only they are removed by us, and a row that two ports share is never changed for one of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from .columns import map_patch
from .core.database import Database, StoredRow
from .core.rows import ID_KEY, Ref, Row

TABLES = ("QoS", "Queue")


def queue_name(port: str, number: int) -> str:
    """By which a port's queue is found."""
    return f"{port} {number}"


def qos_rows(port: str, wanted: Mapping[str, Any], actual: Database) -> Iterator[Row]:
    """The rows for exactly these settings: `type`, `other_config`, `external_ids`, `queues` with `id`."""
    adopt(port, actual)
    queues = wanted["queues"] or []
    columns = {
        "type": wanted["type"],
        "other_config": dict(map_patch(wanted["other_config"] or {}).set),
        "external_ids": dict(map_patch(wanted["external_ids"] or {}).set),
        "queues": {queue["id"]: Ref("Queue", queue_name(port, queue["id"])) for queue in queues},
    }
    yield Row("QoS", port, columns)
    for queue in queues:
        settings = {
            "dscp": queue["dscp"],
            "other_config": dict(map_patch(queue["other_config"] or {}).set),
            "external_ids": dict(map_patch(queue["external_ids"] or {}).set),
        }
        yield Row("Queue", queue_name(port, queue["id"]), settings)


def leftovers(port: str, actual: Database, kept: frozenset[int] | None = None) -> Iterator[tuple[str, str]]:
    """Rows that we made for a port and that go, as (table, name): all, or the queues whose number is not kept."""
    adopt(port, actual)
    qos = actual.find("QoS", port)
    if qos is None or not _marked(qos):
        return
    if kept is None:
        yield "QoS", port
    for number in sorted(qos.columns["queues"]):
        name = queue_name(port, number)
        queue = actual.find("Queue", name)
        if number not in (kept or ()) and queue and _marked(queue):
            yield "Queue", name


def adopt(port: str, actual: Database) -> None:
    """Let the rows that a port refers to alone be found by its name, whoever made them."""
    if "Port" not in actual.schema.tables:  # no server yet
        return
    stored = actual.find("Port", port)
    qos = actual.get("QoS", stored.columns["qos"]) if stored and stored.columns["qos"] else None
    if qos is None or not _sole_holder(actual, qos):
        return
    actual.call("QoS", qos.uuid, port)
    for number, uuid in qos.columns["queues"].items():
        queue = actual.get("Queue", uuid)
        if queue and _sole_holder(actual, queue):
            actual.call("Queue", uuid, queue_name(port, number))


def _sole_holder(actual: Database, row: StoredRow) -> bool:
    return len(list(actual.holders(row.table, row.uuid))) == 1


def _marked(row: StoredRow) -> bool:
    return ID_KEY in row.columns["external_ids"]
