# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""HA chassis groups (ovn-nb(5), HA_Chassis_Group and HA_Chassis)."""

from __future__ import annotations

from . import chassis
from .kind import Children, Kind, Option, external_ids

KIND = Kind(
    module="ovn_ha_chassis_group",
    plural="groups",
    section="ha_chassis_groups",
    table="HA_Chassis_Group",
    text="The groups.",
    key=("name",),
    related={"Logical_Router_Port": ("ha_chassis_group",), "Logical_Switch_Port": ("ha_chassis_group",)},
    options=(
        Option("name", "Name of the group."),
        Option(
            "chassis",
            "All chassis of the group; others are removed.",
            type="list",
            elements="dict",
            column="ha_chassis",
            children=Children("HA_Chassis", ("chassis",), chassis.OPTIONS),
        ),
        external_ids(),
    ),
)
