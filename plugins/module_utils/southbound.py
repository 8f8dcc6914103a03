# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""The southbound database as people ask about it: which chassis there are, and which port is up where (ovn-sb(5))."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from .core.database import Database, StoredRow

CHASSIS_TABLES: Mapping[str, list[str] | None] = {
    "Chassis": None,
    "Chassis_Private": ["name", "nb_cfg"],
    "Encap": ["type", "ip", "options"],
}
PORT_TABLES: Mapping[str, list[str] | None] = {
    "Port_Binding": [
        "logical_port",
        "type",
        "datapath",
        "tunnel_key",
        "chassis",
        "mac",
        "up",
        "options",
        "external_ids",
    ],
    "Datapath_Binding": ["tunnel_key", "external_ids"],
    "Chassis": ["name"],
}
GATEWAY = "enable-chassis-as-gw"


def settings(row: StoredRow) -> dict[str, str]:
    """What a chassis says of itself: OVN before 20.12 kept it in external_ids."""
    return {**row.columns["external_ids"], **row.columns["other_config"]}


def pairs(text: str, separator: str = ":") -> dict[str, str]:
    """`a:b,c:d` as {"a": "b", "c": "d"}."""
    split = (item.partition(separator) for item in text.split(",") if item.strip())
    return {key.strip(): value.strip() for key, _colon, value in split}


def chassis(database: Database) -> Iterator[dict[str, Any]]:
    """Each chassis, sorted by name; see the module ovn_sb_info for the keys."""
    private = {str(row.columns["name"]): row for row in database.rows("Chassis_Private")}
    for row in sorted(database.rows("Chassis"), key=lambda row: str(row.columns["name"])):
        name, said = str(row.columns["name"]), settings(row)
        encaps = [found for uuid in row.columns["encaps"] if (found := database.get("Encap", uuid))]
        options = [item.strip() for item in said.get("ovn-cms-options", "").split(",") if item.strip()]
        caught_up = private[name].columns["nb_cfg"] if name in private else row.columns["nb_cfg"]
        yield {
            "name": name,
            "hostname": row.columns["hostname"],
            "encapsulations": sorted(
                ({"type": e.columns["type"], "ip": e.columns["ip"], "options": e.columns["options"]} for e in encaps),
                key=lambda item: (item["type"], item["ip"]),
            ),
            "bridge_mappings": pairs(said.get("ovn-bridge-mappings", "")),
            "gateway": GATEWAY in options,
            "cms_options": options,
            "transport_zones": sorted(row.columns.get("transport_zones", ())),
            "datapath_type": said.get("datapath-type", ""),
            "nb_cfg": caught_up,
            "external_ids": dict(sorted(row.columns["external_ids"].items())),
            "other_config": dict(sorted(row.columns["other_config"].items())),
        }


def ports(database: Database) -> Iterator[dict[str, Any]]:
    """Each bound or unbound port, sorted by name; see the module ovn_sb_info for the keys."""
    places = {str(row.uuid): str(row.columns["name"]) for row in database.rows("Chassis")}
    datapaths = {str(row.uuid): row.columns for row in database.rows("Datapath_Binding")}
    for row in sorted(database.rows("Port_Binding"), key=lambda row: str(row.columns["logical_port"])):
        columns = row.columns
        datapath = datapaths.get(columns["datapath"], {"external_ids": {}, "tunnel_key": None})
        yield {
            "name": columns["logical_port"],
            "type": columns["type"],
            "datapath": datapath["external_ids"].get("name", ""),
            "datapath_key": datapath["tunnel_key"],
            "tunnel_key": columns["tunnel_key"],
            "chassis": places.get(columns["chassis"] or "", ""),
            "up": bool(columns.get("up")),
            "addresses": sorted(columns["mac"]),
            "options": dict(sorted(columns["options"].items())),
            "external_ids": dict(sorted(columns["external_ids"].items())),
        }
