# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""Address sets (ovn-nb(5), Address_Set)."""

from __future__ import annotations

from .forms import MAC, NETWORKS, Form
from .kind import Kind, Option, external_ids


def _addresses(values: list[str]) -> list[str]:
    return [value if MAC.fullmatch(value) else NETWORKS.write([value])[0] for value in values]


KIND = Kind(
    module="ovn_address_set",
    plural="sets",
    section="address_sets",
    table="Address_Set",
    text="The address sets.",
    key=("name",),
    related={"NAT": ("allowed_ext_ips", "exempted_ext_ips")},
    options=(
        Option("name", "Name of the set, by which matches mean it as C($name), with letters, digits, C(_) and C(.)."),
        Option(
            "addresses",
            "All addresses and networks of the set, of IP or Ethernet. An empty list removes them.",
            type="list",
            elements="str",
            form=Form(_addresses),
        ),
        external_ids(),
    ),
)
