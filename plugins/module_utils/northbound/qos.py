# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""Quality of service (ovn-nb(5), QoS)."""

from __future__ import annotations

from .forms import between
from .kind import Holder, Item, Kind, Option, external_ids, in_map


def _complaint(item: Item) -> str | None:
    return "burst goes with rate; give both" if item.get("burst") and not item.get("rate") else None


KIND = Kind(
    module="ovn_qos",
    plural="rules",
    section="qos_rules",
    table="QoS",
    text="The rules. A rule is known by its switch, direction, priority and match.",
    key=("direction", "priority", "match"),
    nameless=True,
    holders=(Holder("switch", "Logical_Switch", "qos_rules", "The logical switch that has the rule."),),
    complaint=_complaint,
    options=(
        Option(
            "direction",
            "Whether it is for packets from a port or for those to a port.",
            choices=("from-lport", "to-lport"),
            needed=True,
        ),
        Option("priority", "Rules of a higher one come first; 0 to 32767.", type="int", needed=True),
        Option("match", "Which packets it is for, in OVN's expression language.", needed=True),
        in_map("bandwidth", "rate", "Kilobits a second that may pass.", type="int"),
        in_map("bandwidth", "burst", "Kilobits that may pass at once above the rate.", type="int"),
        in_map("action", "dscp", "DSCP that packets are given, 0 to 63.", type="int", form=between(0, 63)),
        in_map("action", "mark", "Mark that packets are given. Needs OVN 24.03 or newer.", type="int"),
        external_ids(),
    ),
)
