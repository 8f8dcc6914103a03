# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
from __future__ import annotations

from ipaddress import IPv4Interface
from pathlib import Path

import pytest

from ovn_k8s.host.errors import HostError
from ovn_k8s.host.state import HostState, InterfaceFacts, load, save
from ovn_k8s.netlink.links import Route


def test_what_is_saved_is_what_is_loaded(tmp_path: Path) -> None:
    path = tmp_path / "lib" / "host-state.json"
    assert load(path) == HostState()
    facts = InterfaceFacts(
        (IPv4Interface("172.30.0.12/24"),), (Route("0.0.0.0/0", "172.30.0.1", metric=100),), 1500, True
    )
    state = HostState({"eth0": facts}, created_bridge=True)
    save(path, state)
    assert load(path) == state
    assert [file.name for file in path.parent.iterdir()] == ["host-state.json"]


@pytest.mark.parametrize(
    "text", ["", "{}", '{"version": 2}', '{"version": 1, "created_bridge": true, "interfaces": {"a": {}}}']
)
def test_a_file_that_cannot_be_understood_is_not_overwritten_silently(tmp_path: Path, text: str) -> None:
    path = tmp_path / "host-state.json"
    path.write_text(text)
    with pytest.raises(HostError, match=r"host-state\.json"):
        load(path)
