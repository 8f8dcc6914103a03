# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""Access control lists (ovn-nb(5), ACL)."""

from __future__ import annotations

from .kind import Holder, Item, Kind, Option, external_ids, in_map, raw_map


def _complaint(item: Item) -> str | None:
    if item.get("switch") and item.get("port_group"):
        return "switch and port_group exclude each other; leave one out"
    return None


KIND = Kind(
    module="ovn_acl",
    plural="acls",
    section="acls",
    table="ACL",
    text="The rules. A rule is known by its switch or port group, tier, direction, priority and match.",
    key=("tier", "direction", "priority", "match"),
    nameless=True,
    found_by=("priority", "match"),
    holders=(
        Holder("switch", "Logical_Switch", "acls", "The logical switch that has the rule."),
        Holder("port_group", "Port_Group", "acls", "The port group that has the rule, in place of a switch."),
    ),
    complaint=_complaint,
    options=(
        Option(
            "direction",
            "Whether it is for packets from a port or for those to a port.",
            choices=("from-lport", "to-lport"),
            needed=True,
        ),
        Option("priority", "Rules of a higher one come first; 0 to 32767.", type="int", needed=True),
        Option(
            "match", "Which packets it is for, in OVN's expression language, as V(ip4 && tcp.dst == 80).", needed=True
        ),
        Option(
            "action",
            "What happens to them. Needed to create it.",
            choices=("allow", "allow-related", "allow-stateless", "drop", "reject", "pass"),
            needed=True,
        ),
        Option("tier", "Rules of a lower one come first; 0 to 3.", type="int", empty=0, since="23.06"),
        Option("name", "Name in the log, at most 63 characters.", column="name"),
        Option("log", "Whether packets are logged.", type="bool", empty=False),
        Option("severity", "Severity in the log.", choices=("alert", "warning", "notice", "info", "debug")),
        Option("meter", "Name of the meter that limits the log."),
        Option("label", "Number to mark connections with, up to 4294967295.", type="int", empty=0),
        in_map(
            "options",
            "apply_after_lb",
            "Whether packets are looked at after load balancing. With V(from-lport) only.",
            key="apply-after-lb",
            type="bool",
        ),
        in_map("options", "log_related", "Whether replies are logged, too.", key="log-related", type="bool"),
        in_map(
            "options",
            "persist_established",
            "Whether established connections outlive a change of the rule.",
            key="persist-established",
            type="bool",
        ),
        raw_map("options"),
        external_ids(),
    ),
)
