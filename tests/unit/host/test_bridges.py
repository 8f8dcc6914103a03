# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""What is shared with others in Open vSwitch's database."""

from __future__ import annotations

import pytest

from ovn_k8s.core.database import Database
from ovn_k8s.core.schema import parse_schema
from ovn_k8s.host.bridges import with_announcing

OURS = "ovn-k8s-announce:br-announce"
MAP = {"type": {"key": "string", "value": "string", "min": 0, "max": "unlimited"}}
SCHEMA = {
    "name": "Open_vSwitch",
    "version": "8.3.1",
    "tables": {"Open_vSwitch": {"columns": {"external_ids": MAP}, "maxRows": 1, "isRoot": True}},
}


@pytest.mark.parametrize(
    ("before", "wanted", "after"),
    [
        ("", True, OURS),
        ("physnet1:br-ex", True, f"physnet1:br-ex,{OURS}"),
        (f"{OURS},physnet1:br-ex", True, f"physnet1:br-ex,{OURS}"),
        (f"physnet1:br-ex,{OURS}", False, "physnet1:br-ex"),
        (OURS, False, None),
        ("", False, None),
    ],
)
def test_networks_of_others_stay(before: str, wanted: bool, after: str | None) -> None:
    database = Database(parse_schema(SCHEMA))
    database.put("Open_vSwitch", "one", {"external_ids": {"ovn-bridge-mappings": before} if before else {}})
    assert with_announcing(database, wanted) == {"ovn-bridge-mappings": after}
