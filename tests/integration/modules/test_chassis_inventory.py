# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""The inventory of chassis, through ansible-inventory, against a southbound database that real chassis are in."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from module_runner import collections_path
from ovsdb_servers import Authority, Server, free_port
from southbound_rig import SouthboundRig, absent


@pytest.fixture
def rig(new_server: Callable[..., Server]) -> Iterator[SouthboundRig]:
    if reason := absent():
        pytest.skip(reason)
    made = SouthboundRig(new_server)
    made.chassis("linux1", ovn_encap_ip="192.0.2.12", ovn_bridge_mappings="physnet:br-ex,other:br-other")
    made.chassis("gw", ovn_encap_ip="192.0.2.14", ovn_cms_options="enable-chassis-as-gw")
    yield made
    made.close()


def ansible_inventory(folder: Path, check: bool = True, **settings: Any) -> dict[str, Any] | str:
    """What `ansible-inventory --list` makes of the settings; what it complains about when it cannot."""
    file = folder / "lab.chassis.yml"
    file.write_text(yaml.safe_dump({"plugin": "ovn_k8s.cluster.chassis", **settings}))
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "LC_ALL": "C.UTF-8",
        "ANSIBLE_COLLECTIONS_PATH": str(collections_path()),
        "ANSIBLE_INVENTORY_ANY_UNPARSED_IS_FAILED": "true",
        "ANSIBLE_INVENTORY_ENABLED": "ovn_k8s.cluster.chassis",
    }
    command = [sys.executable, "-m", "ansible", "inventory", "-i", str(file), "--list"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment, cwd=folder)
    assert "Traceback" not in done.stderr
    if not check:
        assert done.returncode, done.stdout
        return " ".join(done.stderr.split())
    assert not done.returncode, done.stderr
    # Values that nobody vouches for are marked, so that no template in them is ever carried out.
    listed: dict[str, Any] = json.loads(done.stdout, object_hook=lambda item: item.get("__ansible_unsafe", item))
    return listed


def test_hosts_groups_and_variables(rig: SouthboundRig, tmp_path: Path) -> None:
    listed = ansible_inventory(
        tmp_path,
        remote=rig.southbound.remote,
        groups={"gateways": "ovn_gateway"},
        keyed_groups=[
            {"key": "ovn_encap_type", "prefix": "tunnel"},
            {"key": "ovn_bridge_mappings.keys() | list", "prefix": "network"},
        ],
        compose={"ansible_user": "'root'", "where": "ovn_hostname ~ '/' ~ ovn_encap_ip"},
    )
    assert isinstance(listed, dict)
    assert listed["ovn_chassis"]["hosts"] == ["gw", "linux1"]
    assert listed["gateways"]["hosts"] == ["gw"]
    assert listed["tunnel_geneve"]["hosts"] == ["gw", "linux1"]
    assert listed["network_physnet"]["hosts"] == ["linux1"]
    linux = listed["_meta"]["hostvars"]["linux1"]
    assert (linux["ansible_host"], linux["ovn_encap_ip"], linux["ovn_encap_type"]) == (
        "192.0.2.12",
        "192.0.2.12",
        "geneve",
    )
    assert linux["ovn_bridge_mappings"] == {"physnet": "br-ex", "other": "br-other"}
    assert (linux["ovn_gateway"], linux["ovn_chassis"], linux["ovn_hostname"]) == (False, "linux1", "linux1.example")
    assert (linux["ansible_user"], linux["where"]) == ("root", "linux1.example/192.0.2.12")
    assert listed["_meta"]["hostvars"]["gw"]["ovn_gateway"] is True

    named = ansible_inventory(
        tmp_path, remote=rig.southbound.remote, name_by="hostname", address_by="none", group="machines"
    )
    assert isinstance(named, dict)
    assert named["machines"]["hosts"] == ["gw.example", "linux1.example"]
    assert "ansible_host" not in named["_meta"]["hostvars"]["gw.example"]


def test_the_cache_stands_in_for_the_database(rig: SouthboundRig, tmp_path: Path) -> None:
    cache = {"cache": True, "cache_plugin": "ansible.builtin.jsonfile", "cache_connection": str(tmp_path / "cache")}
    settings = {"remote": rig.southbound.remote, **cache}
    first = ansible_inventory(tmp_path, **settings)
    rig.southbound.stop()
    assert ansible_inventory(tmp_path, **settings) == first
    assert "cannot use OVN_Southbound" in ansible_inventory(tmp_path, check=False, remote=rig.southbound.remote)


def test_through_tls(new_server: Callable[..., Server], authority: Authority, tmp_path: Path) -> None:
    port = free_port()
    server = new_server("OVN_Southbound", keys=authority.issue("server"), listen=[f"pssl:{port}:127.0.0.1"])
    encap = {"op": "insert", "table": "Encap", "uuid-name": "e", "row": {"type": "geneve", "ip": "192.0.2.7"}}
    row = {"name": "linux7", "encaps": ["set", [["named-uuid", "e"]]]}
    server.transact(encap, {"op": "insert", "table": "Chassis", "row": row})
    files = authority.issue("me").options()
    settings = {"remote": f"ssl:127.0.0.1:{port}", **files, "ca_certificate": "ca.crt"}
    (tmp_path / "ca.crt").write_bytes(authority.certificate.read_bytes())  # relative to the inventory's folder
    listed = ansible_inventory(tmp_path, **settings)
    assert isinstance(listed, dict)
    assert list(listed["_meta"]["hostvars"]) == ["linux7"]
    del settings["certificate"]
    assert "belong together" in ansible_inventory(tmp_path, check=False, **settings)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"remote": "6642"}, "is no database remote; write unix:/path"),
        ({"remote": "unix:/nonexistent.sock"}, "no such socket; is ovsdb-server running?"),
        ({"remote": "unix:/x", "name_by": "colour"}, "name_by"),
    ],
)
def test_settings_that_do_not_work(settings: dict[str, Any], message: str, tmp_path: Path) -> None:
    assert message in ansible_inventory(tmp_path, check=False, **settings)
