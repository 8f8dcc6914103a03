# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""What the modules of the collection openvswitch.openvswitch get wrong, each as a test that fails on such a module.

The numbers in the names are only an order. Each docstring says what that collection does, as its source shows.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
from module_runner import ModuleFailed, run_module
from ovsdb_servers import Server


def bridge(server: Server, check: bool = False, **item: Any) -> dict[str, Any]:
    return run_module("ovs_bridge", check=check, remote=server.remote, wait=False, bridges=[{"name": "br0", **item}])


def port(server: Server, check: bool = False, **item: Any) -> dict[str, Any]:
    item = {"name": "p0", "bridge": "br0", **item}
    return run_module("ovs_port", check=check, remote=server.remote, wait=False, ports=[item])


def config(server: Server, check: bool = False, **options: Any) -> dict[str, Any]:
    return run_module("ovs_config", check=check, remote=server.remote, **options)


def row(server: Server, table: str, name: str) -> dict[str, Any]:
    return next(row for row in server.rows(table) if row["name"] == name)


def test_01_a_parent_without_vlan_is_refused(ovs_server: Server) -> None:
    """Its rule `("parent", not None, …)` compares with true and never holds."""
    with pytest.raises(ModuleFailed, match="required together: parent, vlan"):
        bridge(ovs_server, parent="br1")
    assert ovs_server.rows("Bridge") == []


def test_02_external_ids_of_a_bridge_that_has_none(ovs_server: Server) -> None:
    """It iterates over None: TypeError."""
    bridge(ovs_server)
    bridge(ovs_server, external_ids={"a": "1"})
    assert row(ovs_server, "Bridge", "br0")["external_ids"] == {"a": "1"}


def test_03_two_keys_that_change_at_once(ovs_server: Server) -> None:
    """It appends to one growing command line, so the second command is wrong."""
    bridge(ovs_server, external_ids={"a": "1", "b": "1", "c": "1"})
    bridge(ovs_server, external_ids={"a": "2", "b": "3"})
    assert row(ovs_server, "Bridge", "br0")["external_ids"] == {"a": "2", "b": "3", "c": "1"}


@pytest.mark.parametrize("value", ["a=b", "--socket-mem=1024 -w 0000:00:08.0", "=", "a=b,c=d"])
def test_04_an_equals_sign_in_a_value(ovs_server: Server, value: str) -> None:
    """It splits what ovs-vsctl prints at every equals sign."""
    bridge(ovs_server, external_ids={"a": value})
    assert row(ovs_server, "Bridge", "br0")["external_ids"] == {"a": value}
    assert not bridge(ovs_server, external_ids={"a": value})["changed"]


def test_05_external_ids_can_be_emptied(ovs_server: Server) -> None:
    """Its document says so; its code does not do it."""
    bridge(ovs_server, external_ids={"a": "1"})
    assert bridge(ovs_server, clear=["external_ids"])["changed"]
    assert row(ovs_server, "Bridge", "br0")["external_ids"] == {}
    port(ovs_server, external_ids={"a": "1", "b": "2"})
    port(ovs_server, external_ids={"a": None})
    assert row(ovs_server, "Port", "p0")["external_ids"] == {"b": "2"}


def test_06_a_fail_mode_that_is_not_mentioned_stays(ovs_server: Server) -> None:
    """It runs `set-fail-mode br0 None`."""
    bridge(ovs_server, fail_mode="secure")
    assert not bridge(ovs_server)["changed"]
    assert row(ovs_server, "Bridge", "br0")["fail_mode"] == "secure"


def test_07_a_tag_that_is_not_mentioned_stays_and_can_be_unset(ovs_server: Server) -> None:
    """It writes `tag=None`, and there is no way to unset one."""
    bridge(ovs_server)
    port(ovs_server, tag=5)
    assert not port(ovs_server)["changed"]
    assert row(ovs_server, "Port", "p0")["tag"] == 5
    port(ovs_server, clear=["tag"])
    assert row(ovs_server, "Port", "p0")["tag"] == []


def test_08_settings_are_taken_after_creation_too(ovs_server: Server) -> None:
    """Its `set` is honoured when the object is new only, for bridges, ports and bonds."""
    bridge(ovs_server)
    port(ovs_server)
    assert bridge(ovs_server, stp=True)["changed"]
    assert port(ovs_server, interfaces=[{"type": "internal", "mtu_request": 1400}])["changed"]
    assert row(ovs_server, "Bridge", "br0")["stp_enable"] is True
    interface = row(ovs_server, "Interface", "p0")
    assert (interface["type"], interface["mtu_request"]) == ("internal", 1400)


def test_09_the_port_that_every_bridge_has(ovs_server: Server) -> None:
    """It cannot set anything of a bridge's own port."""
    bridge(ovs_server)
    assert port(ovs_server, name="br0", tag=7, interfaces=[{"mtu_request": 1500}])["changed"]
    assert row(ovs_server, "Port", "br0")["tag"] == 7
    assert row(ovs_server, "Interface", "br0")["type"] == "internal"


@pytest.mark.parametrize(
    ("option", "first", "second"),
    [
        ("bond_mode", "active-backup", "balance-slb"),
        ("lacp", "active", "off"),
        ("bond_updelay", 100, 200),
        ("bond_downdelay", 100, 200),
        ("interfaces", [{"name": "e0"}, {"name": "e1"}], [{"name": "e1"}, {"name": "e2"}]),
    ],
)
def test_10_a_bond_that_is_there_is_compared(ovs_server: Server, option: str, first: Any, second: Any) -> None:
    """It looks whether a bond is there, and at nothing that the bond has."""
    bridge(ovs_server)
    members = {"interfaces": [{"name": "e0"}, {"name": "e1"}]}
    port(ovs_server, **{**members, option: first})
    assert port(ovs_server, **{**members, option: second})["changed"]
    assert not port(ovs_server, **{**members, option: second})["changed"]
    stored = row(ovs_server, "Port", "p0")
    if option != "interfaces":
        assert stored[option] == second
    else:
        assert sorted(row["name"] for row in ovs_server.rows("Interface")) == ["br0", "e1", "e2"]


def test_11_numbers_and_booleans_in_maps(ovs_server: Server) -> None:
    """Numbers must be written as '"100"' there."""
    bridge(ovs_server)
    given = {"bond-rebalance-interval": 10000, "lacp-time": "fast", "bond-detect-mode": "carrier", "x": True}
    port(ovs_server, other_config=given)
    assert row(ovs_server, "Port", "p0")["other_config"] == {
        **given,
        "bond-rebalance-interval": "10000",
        "x": "true",
    }
    assert not port(ovs_server, other_config=given)["changed"]


def test_12_check_mode_with_a_change_to_come(ovs_server: Server) -> None:
    """`out` is not assigned then: UnboundLocalError."""
    assert config(ovs_server, check=True, external_ids={"a": "1"})["changed"]
    assert ovs_server.rows("Open_vSwitch")[0]["external_ids"] == {}


def test_13_reading_changes_nothing_and_says_so(ovs_server: Server) -> None:
    """`state: read` reports a change."""
    before = ovs_server.dump()
    assert run_module("ovs_info", remote=ovs_server.remote)["changed"] is False
    assert ovs_server.dump() == before


def test_14_an_option_that_the_schema_lacks(ovs_server: Server, new_server: Any, tmp_path: Path) -> None:
    """An unknown column is an AttributeError."""
    schema = Path("/usr/share/openvswitch/vswitch.ovsschema").read_text()
    (tmp_path / "old.ovsschema").write_text(schema.replace('"flood_vlans"', '"other_vlans"'))
    old = new_server("Open_vSwitch", schema=tmp_path / "old.ovsschema")
    with pytest.raises(ModuleFailed, match=r"Bridge 'br0': this database .schema .* has no column flood_vlans"):
        bridge(old, flood_vlans=[1])
    assert bridge(old)["changed"]


@pytest.mark.parametrize("value", ["10.0.0.1", '"quoted"', "a, b", "{a=b}", "ssl:[::1]:6642", "true", "5", "", "ä"])
def test_15_strings_that_the_tools_would_quote(ovs_server: Server, value: str) -> None:
    """It takes quotes off for maps only and reads maps by splitting at ", ", so such values never come to rest."""
    config(ovs_server, external_ids={"a": value, "b": "x, y", "c": "z"})
    assert ovs_server.rows("Open_vSwitch")[0]["external_ids"] == {"a": value, "b": "x, y", "c": "z"}
    assert not config(ovs_server, external_ids={"a": value})["changed"]
    bridge(ovs_server)
    interface = {"type": "patch", "options": {"peer": value}, "mac": "0a:58:0a:00:00:01"}
    port(ovs_server, interfaces=[interface])
    assert not port(ovs_server, interfaces=[interface])["changed"]
    assert row(ovs_server, "Interface", "p0")["mac"] == "0a:58:0a:00:00:01"


def test_16_a_value_is_no_piece_of_a_command(ovs_server: Server) -> None:
    """Its commands are one string that is split at blanks."""
    value = "x -- del-br br0 ; touch /tmp/no"
    bridge(ovs_server, external_ids={"a b": value})
    assert row(ovs_server, "Bridge", "br0")["external_ids"] == {"a b": value}


def test_17_all_or_nothing_and_no_processes(
    ovs_server: Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """It runs a process for each read and each write; what came before a failure stays."""
    before = ovs_server.dump()

    def forbidden(*_arguments: Any, **_options: Any) -> None:
        raise AssertionError("a module started a process")

    for name in ("fork", "execv", "execve", "posix_spawn"):
        monkeypatch.setattr(os, name, forbidden)
    monkeypatch.setattr(subprocess, "Popen", forbidden)
    bridges = [{"name": "br0", "fail_mode": "secure"}, {"name": "br1", "flood_vlans": [9999]}]
    with pytest.raises(ModuleFailed, match="flood_vlans: 9999 is outside"):
        run_module("ovs_bridge", remote=ovs_server.remote, wait=False, bridges=bridges)
    bridge(ovs_server, external_ids={"a": 1})
    run_module("ovs_bridge", remote=ovs_server.remote, wait=False, bridges=[{"name": "br0", "state": "absent"}])
    monkeypatch.undo()
    assert ovs_server.dump() == before


def test_18_a_port_is_absent_from_a_bridge_that_is_not_there(ovs_server: Server) -> None:
    """Listing the ports of a missing bridge fails, in check mode too."""
    for check in (True, False):
        assert not port(ovs_server, check=check, state="absent")["changed"]


def test_19_check_mode_when_the_bridge_would_come_earlier_in_the_play(ovs_server: Server, tmp_path: Path) -> None:
    """Check mode of a play that makes the bridge and then its port fails at the port.

    Here one call takes both, and where nothing is installed yet `assume_empty` says what would be made.
    """
    nowhere = f"unix:{tmp_path}/db.sock"
    item = {"name": "p0", "bridge": "br0", "qos": {"type": "linux-htb", "queues": [{"id": 0}]}}
    result = run_module("ovs_port", check=True, remote=nowhere, assume_empty=True, ports=[item])
    assert result["changed"]
    assert "Port p0" in result["diff"]["after"]
    result = run_module("ovs_bridge", check=True, remote=nowhere, assume_empty=True, bridges=[{"name": "br0"}])
    assert "Bridge br0" in result["diff"]["after"]
