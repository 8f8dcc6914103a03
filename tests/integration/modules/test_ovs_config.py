# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
from __future__ import annotations

import pytest
from module_runner import ModuleFailed, run_module
from ovsdb_servers import Server


def stored(server: Server) -> dict:
    return server.rows("Open_vSwitch")[0]


def test_keys_are_set_changed_and_removed_and_others_stay(ovs_server: Server) -> None:
    row = {"external_ids": ["map", [["theirs", "1"]]], "other_config": ["map", [["stats", "kept"]]]}
    ovs_server.transact({"op": "update", "table": "Open_vSwitch", "where": [], "row": row})
    given = {"system-id": "linux1", "ovn-monitor-all": True, "ovn-openflow-probe-interval": 60, "options": "a=b,c='d'"}

    first = run_module("ovs_config", remote=ovs_server.remote, external_ids=given)
    assert first["changed"]
    ids = {"theirs": "1", "system-id": "linux1", "ovn-monitor-all": "true", "ovn-openflow-probe-interval": "60"}
    assert stored(ovs_server)["external_ids"] == {**ids, "options": "a=b,c='d'"}
    assert stored(ovs_server)["other_config"] == {"stats": "kept"}
    assert not run_module("ovs_config", remote=ovs_server.remote, external_ids=given)["changed"]

    change = {"system-id": "linux2", "ovn-monitor-all": None, "options": None, "never-there": None}
    other = {"hw-offload": False}
    run_module("ovs_config", remote=ovs_server.remote, external_ids=change, other_config=other)
    assert stored(ovs_server)["external_ids"] == {
        "theirs": "1",
        "system-id": "linux2",
        "ovn-openflow-probe-interval": "60",
    }
    assert stored(ovs_server)["other_config"] == {"stats": "kept", "hw-offload": "false"}


def test_check_mode_reports_what_the_run_does_and_changes_nothing(ovs_server: Server) -> None:
    before = ovs_server.dump()
    options = {"remote": ovs_server.remote, "external_ids": {"system-id": "linux1"}}
    checked = run_module("ovs_config", check=True, **options)
    assert ovs_server.dump() == before
    assert checked == run_module("ovs_config", **options)
    assert checked["diff"] == {
        "before": {"Open_vSwitch .": {}},
        "after": {"Open_vSwitch .": {"external_ids": {"system-id": "linux1"}}},
    }
    assert not run_module("ovs_config", check=True, **options)["changed"]


def test_a_value_that_is_no_scalar_is_refused(ovs_server: Server) -> None:
    with pytest.raises(ModuleFailed, match=r"key 'a': .*neither a string nor a number"):
        run_module("ovs_config", remote=ovs_server.remote, external_ids={"a": [1]})


def test_no_server_yet(tmp_path) -> None:
    options = {"remote": f"unix:{tmp_path}/db.sock", "external_ids": {"system-id": "linux1"}}
    with pytest.raises(ModuleFailed, match=r"Open_vSwitch at unix:.*no such socket; is ovsdb-server running\?"):
        run_module("ovs_config", check=True, **options)
    with pytest.raises(ModuleFailed):
        run_module("ovs_config", assume_empty=True, **options)
    result = run_module("ovs_config", check=True, assume_empty=True, **options)
    assert result["changed"]
    assert result["diff"]["after"] == {"Open_vSwitch .": {"external_ids": {"system-id": "linux1"}}}


def test_a_database_that_was_not_initialised(new_server) -> None:
    server = new_server("Open_vSwitch", initialise=False)
    with pytest.raises(ModuleFailed, match="no such row yet; is its daemon initialised"):
        run_module("ovs_config", remote=server.remote, external_ids={"a": "b"})
