# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""Chassis in order of preference, as gateway ports and HA chassis groups list them."""

from __future__ import annotations

from .kind import Option

OPTIONS = (
    Option(
        "chassis",
        "Name of the chassis, which is the C(system-id) of its Open vSwitch.",
        column="chassis_name",
        needed=True,
    ),
    Option("priority", "The chassis with the highest one that is alive is used; 0 to 32767.", type="int", needed=True),
)
