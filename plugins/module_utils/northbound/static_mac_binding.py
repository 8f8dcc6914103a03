# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""Static MAC bindings (ovn-nb(5), Static_MAC_Binding)."""

from __future__ import annotations

from .forms import ADDRESS, MAC_ADDRESS
from .kind import Kind, Option

KIND = Kind(
    module="ovn_static_mac_binding",
    plural="bindings",
    section="static_mac_bindings",
    table="Static_MAC_Binding",
    text="The bindings. Their owner is noted in the external ids of the table C(NB_Global), since they have none.",
    key=("logical_port", "ip"),
    options=(
        Option("logical_port", "Name of the logical router port behind which the address is.", needed=True),
        Option("ip", "The IP address.", form=ADDRESS, needed=True),
        Option("mac", "Its MAC address, in quotes. Needed to create it.", form=MAC_ADDRESS, needed=True),
        Option(
            "override_dynamic_mac",
            "Whether it counts also when the router has learned another one.",
            type="bool",
            empty=False,
        ),
    ),
)
