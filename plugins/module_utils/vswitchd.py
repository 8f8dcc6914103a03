# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""Whether ovs-vswitchd has done what the database says (ovs-vswitchd.conf.db(5), next_cfg and cur_cfg)."""

from __future__ import annotations

import time
from collections.abc import Collection
from typing import Any

from .ovsdb.client import Client
from .ovsdb.errors import OvsdbError

POLL_INTERVAL_S = 0.02


class NotApplied(OvsdbError):
    """The database holds the configuration, but the switch has not made it real."""


def wait_applied(client: Client, interfaces: Collection[str], timeout: float) -> None:
    """Ask ovs-vswitchd to report when it has caught up, and wait for it.

    Args:
        client: a connection to the database of Open vSwitch.
        interfaces: names whose rows must then carry no error.
        timeout: seconds.

    Raises:
        NotApplied: it does not report in time, or could not make an interface.
        OvsdbError: the database cannot be asked.
    """
    wanted = client.transact(
        [
            {"op": "mutate", "table": "Open_vSwitch", "where": [], "mutations": [["next_cfg", "+=", 1]]},
            _select("Open_vSwitch", ["next_cfg"]),
        ]
    )[1]["rows"][0]["next_cfg"]
    deadline = time.monotonic() + timeout
    while client.transact([_select("Open_vSwitch", ["cur_cfg"])])[0]["rows"][0]["cur_cfg"] < wanted:
        if time.monotonic() > deadline:
            raise NotApplied(
                f"the database was changed, but ovs-vswitchd has not taken it up within {timeout:g} s; is it running?"
            )
        time.sleep(POLL_INTERVAL_S)
    rows = client.transact([_select("Interface", ["name", "error"])])[0]["rows"]
    errors = {row["name"]: row["error"] for row in rows if isinstance(row["error"], str)}
    failed = [f"{name}: {errors[name]}" for name in sorted(interfaces) if name in errors]
    if failed:
        raise NotApplied(f"the database was changed, but ovs-vswitchd cannot make every interface: {'; '.join(failed)}")


def _select(table: str, columns: list[str]) -> dict[str, Any]:
    return {"op": "select", "table": table, "where": [], "columns": columns}
