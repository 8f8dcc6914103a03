# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from ovn_k8s.host.config import ConfigError
from ovn_k8s.overlay import node_file

DOCUMENT = {
    "node_name": 'li"nux\\1',
    "mtu": 1400,
    "flag": True,
    "underlay": {"bridge": "br-phy"},
    "gateway": {"interface": "é"},
}


def test_what_is_written_is_toml(tmp_path: Path) -> None:
    assert tomllib.loads(node_file.to_toml(DOCUMENT)) == DOCUMENT
    path = tmp_path / "etc" / "node.toml"
    node_file.write(path, DOCUMENT)
    assert node_file.read(path) == DOCUMENT
    assert node_file.read(tmp_path / "absent") == {}


def test_sections_that_are_not_named_stay() -> None:
    changed = node_file.merged(DOCUMENT, {"mtu": 9000, "gateway": {"address": "x"}})
    assert changed["mtu"] == 9000
    assert changed["gateway"] == {"interface": "é", "address": "x"}
    assert changed["underlay"] == {"bridge": "br-phy"}


def test_values_that_toml_has_no_simple_form_for() -> None:
    with pytest.raises(ConfigError):
        node_file.to_toml({"a": [1]})
