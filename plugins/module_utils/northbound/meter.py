# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""Meters (ovn-nb(5), Meter and Meter_Band)."""

from __future__ import annotations

from .kind import Children, Item, Kind, Option, external_ids


def _complaint(item: Item) -> str | None:
    return "a meter has one band at least" if item.get("bands") == [] else None


KIND = Kind(
    module="ovn_meter",
    plural="meters",
    section="meters",
    table="Meter",
    text="The meters.",
    key=("name",),
    complaint=_complaint,
    options=(
        Option("name", "Name of the meter. Names that start with C(__) are OVN's own."),
        Option("unit", "What is counted. Needed to create it.", choices=("kbps", "pktps"), needed=True),
        Option(
            "bands",
            "All bands, of which the one with the highest rate that is exceeded acts; others are removed. Needed to "
            "create it.",
            type="list",
            elements="dict",
            needed=True,
            children=Children(
                "Meter_Band",
                ("rate", "burst"),
                (
                    Option(
                        "rate", "Rate above which the band acts, in the meter's unit, from 1.", type="int", needed=True
                    ),
                    Option(
                        "burst",
                        "What may pass at once above the rate, in kilobits or packets.",
                        type="int",
                        column="burst_size",
                        empty=0,
                    ),
                    Option("action", "What it does.", choices=("drop",), empty="drop"),
                ),
            ),
        ),
        Option("fair", "Whether each user of the meter has the rate to itself.", type="bool"),
        external_ids(),
    ),
)
