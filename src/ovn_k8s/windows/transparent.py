# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""The Transparent network of a Windows node with Open vSwitch, whose virtual switch is Open vSwitch's.

HNS forgets it when the machine starts again, and the extension with it, while the bridges in Open vSwitch's database
stay. The extension is enabled after the network was made, and only when there are bridges: an extension without them
cuts the machine off (Antrea's experience; see also the role windows_worker).
"""

from __future__ import annotations

from ovn_k8s.core.hns.objects import Network, Subnet
from ovn_k8s.core.hns.options import Wanted
from ovn_k8s.core.hns.plan import Inventory, Plan, make_plan

from .config import TRANSPARENT_NETWORK, NodeConfig

EXTENSION = "583cc151-73ec-4a6a-8b47-578297ad7623"
"""The id of Open vSwitch's switch extension."""


def plan(config: NodeConfig, actual: Inventory, *, bridges: bool) -> Plan:
    """What to do so that the network is right; `bridges`: Open vSwitch has its own. Raises HnsError."""
    if any(one.name == TRANSPARENT_NETWORK and one.type == "Transparent" for one in actual.networks):
        extensions = ((EXTENSION, True),) if bridges else None
        network = Network(TRANSPARENT_NETWORK, "Transparent", extensions=extensions)
    else:
        subnets = (Subnet(str(config.node_subnet), str(config.gateway)),)
        network = Network(TRANSPARENT_NETWORK, "Transparent", adapter=config.adapter or None, subnets=subnets)
    return make_plan(Wanted(networks=(network,)), actual, replace=True, force=True)
