# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""Sets of DNS records (ovn-nb(5), DNS)."""

from __future__ import annotations

import re
from typing import Any

from .forms import Form
from .kind import Kind, Option, external_ids, in_map, raw_map


def _write(records: dict[str, Any]) -> dict[str, str]:
    """Names in lower case, as ovn-controller looks them up."""
    written = {}
    for name, values in records.items():
        members = values if isinstance(values, list) else str(values).split()
        if not members:
            raise ValueError(f"{name!r} has no address; leave it out")
        written[str(name).lower()] = " ".join(str(member) for member in members)
    return written


def _read(stored: dict[str, str]) -> dict[str, list[str]]:
    return {name: [part for part in re.split(r"[,\s]+", text) if part] for name, text in stored.items()}


KIND = Kind(
    module="ovn_dns",
    plural="sets",
    section="dns",
    table="DNS",
    text="The sets of records. A switch answers with those that its option C(dns_records) names.",
    key=("name",),
    options=(
        Option(
            "name",
            "Name of the set, which C(external_ids:ovn-k8s-id) keeps, since the table has no names. A set that "
            "somebody else has made goes by its UUID.",
        ),
        Option(
            "records",
            "All records: a dictionary of names with a list of addresses each, or, for an address in C(in-addr.arpa) "
            "or C(ip6.arpa), a name.",
            type="dict",
            form=Form(_write, _read),
            empty={},
        ),
        in_map(
            "options",
            "ovn_owned",
            "Whether names of these domains that have no record are answered as unknown rather than looked up "
            "elsewhere.",
            key="ovn-owned",
            type="bool",
            since="24.03",
        ),
        raw_map("options", "Further keys and values to have in the map. A key whose value is null is removed."),
        external_ids(),
    ),
)
