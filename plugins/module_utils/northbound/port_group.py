# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""Port groups (ovn-nb(5), Port_Group)."""

from __future__ import annotations

from .kind import Kind, Option, external_ids, names_of

KIND = Kind(
    module="ovn_port_group",
    plural="groups",
    section="port_groups",
    table="Port_Group",
    text="The groups.",
    key=("name",),
    options=(
        Option(
            "name", "Name of the group, by which matches mean its ports as C(@name), with letters, digits and C(_)."
        ),
        names_of("ports", "Logical_Switch_Port", "Names of all logical switch ports in the group."),
        external_ids(),
    ),
)
