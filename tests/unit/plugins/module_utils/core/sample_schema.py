# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""A small schema with one of everything that plans have to do with."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.ovn_k8s.cluster.plugins.module_utils.core.database import Database
from ansible_collections.ovn_k8s.cluster.plugins.module_utils.core.schema import Schema, parse_schema
from ansible_collections.ovn_k8s.cluster.plugins.module_utils.core.values import Uuid, empty

STRINGS = {"key": "string", "min": 0, "max": "unlimited"}
MAP = {"key": "string", "value": "string", "min": 0, "max": "unlimited"}


def refs(table: str, *, strong: bool = True, limit: Any = "unlimited") -> dict[str, Any]:
    key = {"type": "uuid", "refTable": table, "refType": "strong" if strong else "weak"}
    return {"key": key, "min": 0, "max": limit}


def columns(**types: Any) -> dict[str, Any]:
    return {name: {"type": kind} for name, kind in types.items()}


DOCUMENT: dict[str, Any] = {
    "name": "Sample",
    "version": "1.2.3",
    "tables": {
        "Global": {"columns": columns(ssl=refs("SSL", limit=1), options=MAP), "isRoot": True, "maxRows": 1},
        "SSL": {"columns": columns(key="string"), "maxRows": 1},
        "Switch": {
            "columns": columns(
                name="string",
                ports=refs("Port"),
                routes=refs("Route"),
                groups=refs("Group", strong=False),
                external_ids=MAP,
                options=MAP,
                words=STRINGS,
                count={"key": {"type": "integer", "minInteger": 0, "maxInteger": 10}, "min": 0, "max": 1},
                mode={"key": {"type": "string", "enum": ["set", ["open", "closed"]]}, "min": 0, "max": 1},
                enabled="boolean",
                weight="real",
            ),
            "isRoot": True,
        },
        "Port": {
            "columns": {
                **columns(
                    name="string",
                    addresses=STRINGS,
                    external_ids=MAP,
                    interfaces={"key": {"type": "uuid", "refTable": "Interface"}, "min": 1, "max": "unlimited"},
                ),
                "serial": {"type": "string", "mutable": False},
            },
            "indexes": [["name"]],
        },
        "Interface": {"columns": columns(name="string", external_ids=MAP), "indexes": [["name"]]},
        "Route": {"columns": columns(prefix="string", external_ids=MAP)},
        "Group": {"columns": columns(name="string", external_ids=MAP), "isRoot": True, "indexes": [["name"]]},
        "Queue": {
            "columns": columns(
                name="string",
                external_ids=MAP,
                slots={"key": "integer", "value": {"type": "uuid", "refTable": "Group"}, "min": 0, "max": "unlimited"},
            ),
            "isRoot": True,
        },
    },
}


def schema() -> Schema:
    return parse_schema(DOCUMENT)


def database(**tables: Mapping[str, Mapping[str, Any]]) -> Database:
    """A database that holds these rows: table={uuid: columns}. Columns that are not given are empty."""
    spec = schema()
    result = Database(spec)
    for table, rows in tables.items():
        for uuid, given in rows.items():
            unset = {name: empty(column) for name, column in spec.tables[table].columns.items()}
            result.put(table, uuid, {**unset, **given})
    return result


def uuids(*names: str) -> frozenset[Uuid]:
    return frozenset(Uuid(name) for name in names)
