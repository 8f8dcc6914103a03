# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""Groups of load balancers (ovn-nb(5), Load_Balancer_Group)."""

from __future__ import annotations

from .kind import Kind, Option, names_of

KIND = Kind(
    module="ovn_load_balancer_group",
    plural="groups",
    section="load_balancer_groups",
    table="Load_Balancer_Group",
    text="The groups. Their owner is noted in the external ids of the table C(NB_Global), since they have none.",
    key=("name",),
    related={"Logical_Switch": ("load_balancer_group",), "Logical_Router": ("load_balancer_group",)},
    options=(
        Option("name", "Name of the group."),
        names_of("load_balancers", "Load_Balancer", "Names of all load balancers in the group.", "load_balancer"),
    ),
)
