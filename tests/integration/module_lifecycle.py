# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""What holds for every module over a database: check mode foretells the run, and a second run does nothing."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Mapping
from typing import Any

from module_runner import PACKAGE, collections_path, run_module
from ovsdb_servers import Server

VOLATILE = {"Open_vSwitch": {"next_cfg", "cur_cfg"}}
"""Columns that daemons count up."""


def content(server: Server) -> dict[str, Any]:
    """The database without what a daemon counts."""
    return {
        table: [{name: value for name, value in row.items() if name not in VOLATILE.get(table, ())} for row in rows]
        for table, rows in server.dump().items()
    }


def converge(server: Server, module: str, **options: Any) -> dict[str, Any]:
    """Run a module in check mode, for real and once more; returns what the run reports."""
    before = content(server)
    foretold = run_module(module, check=True, remote=server.remote, **options)
    assert content(server) == before, "check mode changed the database"
    done = run_module(module, remote=server.remote, **options)
    assert foretold == done, "check mode foretold something else"
    after = content(server)
    assert done["changed"] == (after != before)
    again = run_module(module, remote=server.remote, **options)
    assert not again["changed"], again["diff"]
    assert again["diff"] == {"before": {}, "after": {}}
    assert content(server) == after
    return done


def all_of(module: str, option: str) -> dict[str, Any]:
    """The argument specification of a module's list of objects."""
    if str(collections_path()) not in sys.path:
        sys.path.insert(0, str(collections_path()))
    spec: dict[str, Any] = importlib.import_module(f"{PACKAGE}.{module}").OPTIONS[option]["options"]
    return spec


def assert_complete(spec: Mapping[str, Any], *items: Mapping[str, Any], but: set[str] | None = None) -> None:
    """See that objects of a test, taken together, use every option that there is."""
    used = {name for item in items for name in item}
    assert used | (but or set()) >= set(spec), f"not tested: {sorted(set(spec) - used)}"
