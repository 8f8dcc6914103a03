# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""What a person may set, and that the inventory says the same as the lab."""

from __future__ import annotations

from ipaddress import ip_address, ip_interface, ip_network
from pathlib import Path

import pytest
import yaml

from lab.binaries import PROJECTS
from lab.machines import INTERNET, LEASED, MACHINES
from lab.settings import TREE, LabError, Settings


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("NAME", "STATE", "CACHE", "RELEASE", "MIRROR", "UNDERLAY_MTU", "BINARIES"):
        monkeypatch.delenv(f"LAB_{name}", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))


def test_defaults(tmp_path: Path) -> None:
    settings = Settings.from_environment()
    assert settings.state == Path("/var/lib/ovn-k8s-lab")
    assert settings.cache == tmp_path / "ovn-k8s-lab"
    assert settings.namespace("ctl") == "ovnk8s-ctl"
    assert settings.release == "trixie"


def test_labs_of_different_names_share_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    first = Settings.from_environment()
    monkeypatch.setenv("LAB_NAME", "other")
    second = Settings.from_environment()
    assert first.state != second.state
    assert first.namespace("ctl") != second.namespace("ctl")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("LAB_NAME", "a b"),
        ("LAB_NAME", ""),
        ("LAB_NAME", "x" * 30),
        ("LAB_RELEASE", "sid"),
        ("LAB_UNDERLAY_MTU", "big"),
        ("LAB_UNDERLAY_MTU", "100"),
    ],
)
def test_bad_values_are_named(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(LabError, match=f"{name}='{value}'"):
        Settings.from_environment()


def test_inventory_has_the_labs_machines() -> None:
    inventory = yaml.safe_load((TREE.parent / "inventories/lab/hosts.yml").read_text())["all"]
    hosts = {}
    for group in inventory["children"].values():
        hosts.update((group or {}).get("hosts", {}))
    assert {n: (h["ansible_host"], h["ovn_k8s_node_ip"]) for n, h in hosts.items()} == {
        m.name: (m.login, m.underlay) for m in MACHINES
    }
    assert {n for n, h in hosts.items() if "ovn_k8s_gateway_interface" in h} == {m.name for m in MACHINES if m.internet}
    assert hosts["gw"]["ovn_k8s_gateway_shared"] is True
    lease = ip_address(hosts["gw"]["ansible_host"])
    assert lease in ip_network(LEASED) and ip_interface(INTERNET[0]).network == ip_network(LEASED)


def test_versions_are_pinned() -> None:
    for project in PROJECTS:
        assert len(project.version.split(".")) == 3, project.name
