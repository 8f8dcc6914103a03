# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""All kinds."""

from __future__ import annotations

from . import (
    acl,
    address_set,
    bfd,
    dhcp_options,
    dns,
    ha_chassis_group,
    load_balancer,
    load_balancer_group,
    logical_router,
    logical_router_port,
    logical_switch,
    logical_switch_port,
    meter,
    nat,
    port_group,
    qos,
    router_policy,
    static_mac_binding,
    static_route,
)

KINDS = (
    logical_switch.KIND,
    logical_switch_port.KIND,
    logical_router.KIND,
    logical_router_port.KIND,
    static_route.KIND,
    router_policy.KIND,
    nat.KIND,
    static_mac_binding.KIND,
    bfd.KIND,
    load_balancer.KIND,
    load_balancer_group.KIND,
    acl.KIND,
    port_group.KIND,
    address_set.KIND,
    qos.KIND,
    meter.KIND,
    ha_chassis_group.KIND,
    dhcp_options.KIND,
    dns.KIND,
)
"""In the order in which a document lists them."""
