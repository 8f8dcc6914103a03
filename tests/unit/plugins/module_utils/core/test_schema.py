# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
from __future__ import annotations

from ansible_collections.ovn_k8s.cluster.plugins.module_utils.core.schema import parse_schema
from ansible_collections.ovn_k8s.cluster.tests.unit.plugins.module_utils.core.sample_schema import DOCUMENT, schema


def test_kinds_of_columns() -> None:
    switch = schema().tables["Switch"].columns
    kinds = {name: (column.is_map, column.is_set, column.is_optional) for name, column in switch.items()}
    assert kinds["name"] == (False, False, False)
    assert kinds["options"] == (True, False, False)
    assert kinds["words"] == (False, True, False)
    assert kinds["count"] == (False, False, True)
    assert (switch["count"].key.minimum, switch["count"].key.maximum) == (0, 10)
    assert switch["mode"].key.enum == {"open", "closed"}
    assert schema().tables["Port"].columns["serial"].mutable is False
    assert schema().tables["Port"].columns["interfaces"].min == 1


def test_tables() -> None:
    tables = schema().tables
    assert (tables["Switch"].root, tables["Port"].root) == (True, False)
    assert tables["Global"].singleton
    assert tables["Port"].indexes == (("name",),)


def test_only_strong_references_hold_a_row() -> None:
    referrers = schema().referrers
    assert referrers["Port"] == (("Switch", "ports"),)
    assert referrers["Interface"] == (("Port", "interfaces"),)
    assert referrers["Group"] == (("Queue", "slots"),)


def test_a_schema_that_marks_no_root_has_only_roots() -> None:
    document = {"name": "Old", "tables": {"A": {"columns": {}}, "B": {"columns": {}}}}
    parsed = parse_schema(document)
    assert all(table.root for table in parsed.tables.values())
    assert parsed.version == ""
    assert not all(table.root for table in parse_schema(DOCUMENT).tables.values())


def test_an_enumeration_of_one_value() -> None:
    kind = {"key": {"type": "string", "enum": "only"}}
    document = {"name": "One", "tables": {"A": {"columns": {"c": {"type": kind}}}}}
    assert parse_schema(document).tables["A"].columns["c"].key.enum == {"only"}
