# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""Two values for every option of every kind of northbound object, and what must be there for them.

An option that is missing here fails `test_every_option_has_values`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

MAC, OTHER_MAC = "0a:58:c0:00:02:0a", "0a:58:c0:00:02:0b"
TEXTS = ({"a": "1", "b": "2"}, {"b": "3", "c": "4"})
BOOLS = (True, False)


@dataclass(frozen=True)
class Values:
    """`key` tells the object apart and says who holds it, `needed` creates it; `beside` goes along with an option.

    `stored` is what some options' first values are in the database: {column: value as ovsdb-client shows it}.
    """

    key: Mapping[str, Any]
    values: Mapping[str, tuple[Any, Any]]
    needed: Mapping[str, tuple[Any, Any]] = field(default_factory=dict)
    beside: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    elsewhere: frozenset[str] = frozenset()
    stored: Mapping[str, Any] = field(default_factory=dict)


FOUNDATION: dict[str, Any] = {
    "switches": [{"name": "sw1"}, {"name": "sw2"}],
    "routers": [{"name": "lr1"}, {"name": "lr2"}],
    "switch_ports": [{"name": "sp1", "switch": "sw1"}, {"name": "sp2", "switch": "sw1"}],
    "router_ports": [
        {"name": "rp1", "router": "lr1", "mac": MAC, "networks": ["192.0.2.1/24"]},
        {"name": "rp2", "router": "lr1", "mac": OTHER_MAC, "networks": ["198.51.100.1/24"]},
    ],
    "load_balancers": [{"name": "lb1"}, {"name": "lb2"}],
    "load_balancer_groups": [{"name": "lbg1"}, {"name": "lbg2"}],
    "address_sets": [{"name": "as1"}, {"name": "as2"}],
    "ha_chassis_groups": [{"name": "hcg1"}, {"name": "hcg2"}],
    "dhcp_options": [{"name": "d1", "cidr": "192.0.2.0/24"}, {"name": "d2", "cidr": "192.0.2.0/24"}],
    "dns": [{"name": "n1"}, {"name": "n2"}],
    "port_groups": [{"name": "pg1"}],
    "bfd_sessions": [{"logical_port": "rp1", "dst_ip": "192.0.2.9"}, {"logical_port": "rp1", "dst_ip": "192.0.2.8"}],
}
"""Objects that others refer to or live in. Copp has no module; see the tests."""

VALUES: dict[str, Values] = {
    "ovn_logical_switch": Values(
        key={"name": "x"},
        values={
            "subnet": ("192.0.2.0/24", "198.51.100.0/25"),
            "exclude_ips": (["192.0.2.2", "192.0.2.4..192.0.2.9"], ["192.0.2.3"]),
            "ipv6_prefix": ("2001:db8::", "2001:db8:1::"),
            "mac_only": BOOLS,
            "mcast_snoop": BOOLS,
            "mcast_flood_unregistered": BOOLS,
            "mcast_querier": BOOLS,
            "mcast_eth_src": (MAC, OTHER_MAC),
            "mcast_ip4_src": ("192.0.2.1", "192.0.2.2"),
            "mcast_ip6_src": ("fe80::1", "fe80::2"),
            "mcast_table_size": (1, 32766),
            "mcast_idle_timeout": (15, 3600),
            "mcast_query_interval": (1, 3600),
            "vlan_passthru": BOOLS,
            "requested_tnl_key": (1, 16777215),
            "load_balancers": (["lb1"], ["lb1", "lb2"]),
            "load_balancer_groups": (["lbg1"], ["lbg2"]),
            "dns_records": (["n1"], ["n2"]),
            "copp": ("cp1", "cp2"),
            "other_config": TEXTS,
            "external_ids": TEXTS,
        },
        beside={"mcast_querier": {"mcast_eth_src": MAC, "mcast_ip4_src": "192.0.2.1"}},
        stored={
            "other_config": {
                "subnet": "192.0.2.0/24",
                "exclude_ips": "192.0.2.2 192.0.2.4..192.0.2.9",
                "ipv6_prefix": "2001:db8::",
                "mac_only": "true",
                "mcast_snoop": "true",
                "mcast_flood_unregistered": "true",
                "mcast_querier": "true",
                "mcast_eth_src": MAC,
                "mcast_ip4_src": "192.0.2.1",
                "mcast_ip6_src": "fe80::1",
                "mcast_table_size": "1",
                "mcast_idle_timeout": "15",
                "mcast_query_interval": "1",
                "vlan-passthru": "true",
                "requested-tnl-key": "1",
                "a": "1",
                "b": "2",
            }
        },
    ),
    "ovn_logical_switch_port": Values(
        key={"name": "x", "switch": "sw1"},
        values={
            "type": ("localnet", "vif"),
            "router_port": ("rp1", "rp2"),
            "addresses": ([f"{MAC} 192.0.2.10 2001:db8::10"], ["unknown", "dynamic"]),
            "port_security": ([f"{MAC} 192.0.2.10/24"], [MAC]),
            "enabled": (False, True),
            "parent_name": ("sp1", "sp2"),
            "tag": (1, 4095),
            "tag_request": (0, 4095),
            "dhcpv4_options": ("d1", "d2"),
            "dhcpv6_options": ("d2", "d1"),
            "ha_chassis_group": ("hcg1", "hcg2"),
            "network_name": ("physnet1", "physnet2"),
            "requested_chassis": (["c1", "c2"], ["c2"]),
            "nat_addresses": ("router", MAC),
            "qos_max_rate": (1000, 2000),
            "qos_min_rate": (100, 200),
            "qos_burst": (10, 20),
            "mcast_flood": BOOLS,
            "mcast_flood_reports": BOOLS,
            "virtual_ip": ("192.0.2.7", "192.0.2.8"),
            "virtual_parents": (["sp1", "sp2"], ["sp1"]),
            "requested_tnl_key": (1, 32767),
            "options": TEXTS,
            "external_ids": TEXTS,
        },
        beside={"router_port": {"type": "router", "addresses": ["router"]}},
        stored={
            "addresses": f"{MAC} 192.0.2.10 2001:db8::10",
            "options": {
                "router-port": "rp1",
                "network_name": "physnet1",
                "requested-chassis": "c1,c2",
                "nat-addresses": "router",
                "qos_max_rate": "1000",
                "qos_min_rate": "100",
                "qos_burst": "10",
                "mcast_flood": "true",
                "mcast_flood_reports": "true",
                "virtual-ip": "192.0.2.7",
                "virtual-parents": "sp1,sp2",
                "requested-tnl-key": "1",
                "a": "1",
                "b": "2",
            },
        },
    ),
    "ovn_logical_router": Values(
        key={"name": "x"},
        values={
            "enabled": (False, True),
            "chassis": ("c1", "c2"),
            "lb_force_snat_ip": (["192.0.2.1", "2001:db8::1"], ["router_ip"]),
            "dnat_force_snat_ip": (["192.0.2.1"], ["192.0.2.2"]),
            "mcast_relay": BOOLS,
            "dynamic_neigh_routers": BOOLS,
            "always_learn_from_arp_request": BOOLS,
            "snat_ct_zone": (0, 65535),
            "mac_binding_age_threshold": ("300", "192.0.2.0/24:60;300"),
            "requested_tnl_key": (1, 16777215),
            "load_balancers": (["lb1", "lb2"], ["lb2"]),
            "load_balancer_groups": (["lbg1"], ["lbg1", "lbg2"]),
            "copp": ("cp1", "cp2"),
            "options": TEXTS,
            "external_ids": TEXTS,
        },
        stored={
            "enabled": False,
            "options": {
                "chassis": "c1",
                "lb_force_snat_ip": "192.0.2.1 2001:db8::1",
                "dnat_force_snat_ip": "192.0.2.1",
                "mcast_relay": "true",
                "dynamic_neigh_routers": "true",
                "always_learn_from_arp_request": "true",
                "snat-ct-zone": "0",
                "mac_binding_age_threshold": "300",
                "requested-tnl-key": "1",
                "a": "1",
                "b": "2",
            },
        },
    ),
    "ovn_logical_router_port": Values(
        key={"name": "x", "router": "lr1"},
        needed={
            "mac": (MAC, OTHER_MAC),
            "networks": (["203.0.113.1/24", "2001:db8::1/64"], ["203.0.113.2/24"]),
        },
        values={
            "peer": ("y", "z"),
            "enabled": (False, True),
            "gateway_chassis": (
                [{"chassis": "c1", "priority": 20}, {"chassis": "c2", "priority": 10}],
                [{"chassis": "c2", "priority": 30}],
            ),
            "ha_chassis_group": ("hcg1", "hcg2"),
            "gateway_mtu": (1400, 1500),
            "redirect_type": ("overlay", "bridged"),
            "reside_on_redirect_chassis": BOOLS,
            "mcast_flood": BOOLS,
            "route_table": ("blue", "red"),
            "prefix_delegation": BOOLS,
            "prefix": BOOLS,
            "requested_tnl_key": (1, 32767),
            "ipv6_address_mode": ("slaac", "dhcpv6_stateful"),
            "ipv6_send_periodic": BOOLS,
            "ipv6_mtu": (1400, 1500),
            "ipv6_ra_configs": TEXTS,
            "options": TEXTS,
            "external_ids": TEXTS,
        },
        stored={
            "ipv6_ra_configs": {
                "address_mode": "slaac",
                "send_periodic": "true",
                "mtu": "1400",
                "a": "1",
                "b": "2",
            },
            "options": {
                "gateway_mtu": "1400",
                "redirect-type": "overlay",
                "reside-on-redirect-chassis": "true",
                "mcast_flood": "true",
                "route_table": "blue",
                "prefix_delegation": "true",
                "prefix": "true",
                "requested-tnl-key": "1",
                "a": "1",
                "b": "2",
            },
        },
    ),
    "ovn_static_route": Values(
        key={
            "router": "lr1",
            "prefix": "203.0.113.0/24",
            "nexthop": "192.0.2.9",
            "policy": "src-ip",
            "output_port": "rp1",
            "route_table": "blue",
        },
        values={
            "bfd": (True, False),
            "selection_fields": (["ip_src", "ip_dst"], ["ip_src"]),
            "ecmp_symmetric_reply": BOOLS,
            "options": TEXTS,
            "external_ids": TEXTS,
        },
        elsewhere=frozenset({"ecmp"}),
        stored={"options": {"ecmp_symmetric_reply": "true", "a": "1", "b": "2"}},
    ),
    "ovn_router_policy": Values(
        key={"router": "lr1", "priority": 0, "match": "ip4.src == 192.0.2.0/24", "chain": "inner"},
        needed={"action": ("reroute", "allow")},
        values={
            "nexthops": (["192.0.2.8", "192.0.2.9"], ["2001:db8::9"]),
            "jump_chain": ("one", "two"),
            "bfd_sessions": (["rp1 192.0.2.8", "rp1 192.0.2.9"], ["rp1 192.0.2.9"]),
            "output_port": ("rp1", "rp2"),
            "pkt_mark": (0, 4294967295),
            "options": TEXTS,
            "external_ids": TEXTS,
        },
        stored={"options": {"pkt_mark": "0", "a": "1", "b": "2"}, "nexthops": ["192.0.2.8", "192.0.2.9"]},
    ),
    "ovn_nat": Values(
        key={
            "router": "lr1",
            "type": "dnat_and_snat",
            "external_ip": "198.51.100.10",
            "logical_ip": "192.0.2.10",
            "external_port_range": "1-30000",
        },
        values={
            "external_mac": (MAC, OTHER_MAC),
            "logical_port": ("sp1", "sp2"),
            "allowed_ext_ips": ("as1", "as2"),
            "exempted_ext_ips": ("as2", "as1"),
            "gateway_port": ("rp1", "rp2"),
            "match": ("ip4.dst == 192.0.2.1", "ip4.dst == 192.0.2.2"),
            "priority": (1, 32767),
            "stateless": BOOLS,
            "add_route": BOOLS,
            "options": TEXTS,
            "external_ids": TEXTS,
        },
        stored={"options": {"stateless": "true", "add_route": "true", "a": "1", "b": "2"}},
    ),
    "ovn_load_balancer": Values(
        key={"name": "x"},
        values={
            "vips": (
                {"192.0.2.1:80": ["10.0.0.2:80", "10.0.0.3:80"], "[2001:db8::1]:80": ["[2001:db8::2]:80"]},
                {"192.0.2.1:80": ["10.0.0.3:80"]},
            ),
            "protocol": ("udp", "tcp"),
            "groups": (["lbg1"], ["lbg2"]),
            "health_checks": (
                [{"vip": "192.0.2.1:80", "interval": 5, "timeout": 20, "success_count": 3, "failure_count": 4}],
                [{"vip": "192.0.2.1:80", "interval": 6}],
            ),
            "ip_port_mappings": ({"10.0.0.2": "sp1:10.0.0.100"}, {"10.0.0.3": "sp2:10.0.0.100"}),
            "selection_fields": (["ip_src", "ip_dst"], ["ip_src"]),
            "affinity_timeout": (1, 65535),
            "reject": BOOLS,
            "event": BOOLS,
            "hairpin_snat_ip": (["192.0.2.5", "2001:db8::5"], ["192.0.2.6"]),
            "skip_snat": BOOLS,
            "add_route": BOOLS,
            "neighbor_responder": ("all", "none"),
            "ct_flush": BOOLS,
            "options": TEXTS,
            "external_ids": TEXTS,
        },
        beside={"health_checks": {"vips": {"192.0.2.1:80": ["10.0.0.2:80"]}}},
        elsewhere=frozenset({"groups"}),
        stored={
            "vips": {"192.0.2.1:80": "10.0.0.2:80,10.0.0.3:80", "[2001:db8::1]:80": "[2001:db8::2]:80"},
            "options": {
                "affinity_timeout": "1",
                "reject": "true",
                "event": "true",
                "hairpin_snat_ip": "192.0.2.5 2001:db8::5",
                "skip_snat": "true",
                "add_route": "true",
                "neighbor_responder": "all",
                "ct_flush": "true",
                "a": "1",
                "b": "2",
            },
        },
    ),
    "ovn_load_balancer_group": Values(key={"name": "x"}, values={"load_balancers": (["lb1"], ["lb1", "lb2"])}),
    "ovn_acl": Values(
        key={"switch": "sw1", "direction": "from-lport", "priority": 0, "match": "ip4 && tcp.dst == 80", "tier": 3},
        needed={"action": ("allow-related", "drop")},
        values={
            "name": ("web", "w" * 63),
            "log": (True, True),
            "severity": ("info", "alert"),
            "meter": ("m1", "m2"),
            "label": (1, 4294967295),
            "apply_after_lb": BOOLS,
            "log_related": BOOLS,
            "persist_established": BOOLS,
            "options": TEXTS,
            "external_ids": TEXTS,
        },
        stored={
            "name": "web",
            "options": {
                "apply-after-lb": "true",
                "log-related": "true",
                "persist-established": "true",
                "a": "1",
                "b": "2",
            },
        },
    ),
    "ovn_port_group": Values(key={"name": "x"}, values={"ports": (["sp1", "sp2"], ["sp2"]), "external_ids": TEXTS}),
    "ovn_address_set": Values(
        key={"name": "x"},
        values={"addresses": (["192.0.2.0/24", "2001:db8::1", MAC], ["192.0.2.1"]), "external_ids": TEXTS},
    ),
    "ovn_dhcp_options": Values(
        key={"name": "x"},
        needed={"cidr": ("192.0.2.0/24", "2001:db8::/64")},
        values={
            "server_id": ("192.0.2.1", MAC),
            "server_mac": (MAC, OTHER_MAC),
            "lease_time": (0, 4294967295),
            "router": ("192.0.2.1", "192.0.2.2"),
            "dns_server": (["192.0.2.53", "192.0.2.54"], ["192.0.2.53"]),
            "ntp_server": (["192.0.2.53"], ["192.0.2.53", "192.0.2.54"]),
            "mtu": (68, 65535),
            "domain_name": ("example.org", "example.net"),
            "domain_search_list": (["a.example.org", "b.example.org"], ["c.example.org"]),
            "bootfile_name": ("pxe.0", "https://192.0.2.1/boot"),
            "tftp_server": ("boot.example.org", "boot.example.net"),
            "next_server": ("192.0.2.3", "192.0.2.4"),
            "dhcpv6_stateless": BOOLS,
            "options": TEXTS,
            "external_ids": TEXTS,
        },
        stored={
            "options": {
                "server_id": "192.0.2.1",
                "server_mac": MAC,
                "lease_time": "0",
                "router": "192.0.2.1",
                "dns_server": "{192.0.2.53, 192.0.2.54}",
                "ntp_server": "192.0.2.53",
                "mtu": "68",
                "domain_name": '"example.org"',
                "domain_search_list": '"a.example.org, b.example.org"',
                "bootfile_name": '"pxe.0"',
                "tftp_server": '"boot.example.org"',
                "next_server": "192.0.2.3",
                "dhcpv6_stateless": "true",
                "a": "1",
                "b": "2",
            }
        },
    ),
    "ovn_dns": Values(
        key={"name": "x"},
        values={
            "records": (
                {"printer.example.org": ["192.0.2.20", "2001:db8::20"], "20.2.0.192.in-addr.arpa": ["printer"]},
                {"printer.example.org": ["192.0.2.21"]},
            ),
            "ovn_owned": BOOLS,
            "options": TEXTS,
            "external_ids": TEXTS,
        },
        stored={"records": {"printer.example.org": "192.0.2.20 2001:db8::20", "20.2.0.192.in-addr.arpa": "printer"}},
    ),
    "ovn_qos": Values(
        key={"switch": "sw1", "direction": "to-lport", "priority": 32767, "match": "ip4"},
        values={
            "rate": (1, 4294967295),
            "burst": (1, 4294967295),
            "dscp": (0, 63),
            "mark": (0, 4294967295),
            "external_ids": TEXTS,
        },
        beside={"burst": {"rate": 100}},
        stored={"bandwidth": {"rate": 1, "burst": 1}, "action": {"dscp": 0, "mark": 0}},
    ),
    "ovn_meter": Values(
        key={"name": "x"},
        needed={
            "unit": ("kbps", "pktps"),
            "bands": ([{"rate": 1, "burst": 5}, {"rate": 4294967295}], [{"rate": 2}]),
        },
        values={"fair": BOOLS, "external_ids": TEXTS},
    ),
    "ovn_ha_chassis_group": Values(
        key={"name": "x"},
        values={
            "chassis": (
                [{"chassis": "c1", "priority": 0}, {"chassis": "c2", "priority": 32767}],
                [{"chassis": "c2", "priority": 1}, {"chassis": "c3", "priority": 2}],
            ),
            "external_ids": TEXTS,
        },
    ),
    "ovn_static_mac_binding": Values(
        key={"logical_port": "rp1", "ip": "192.0.2.77"},
        needed={"mac": (MAC, OTHER_MAC)},
        values={"override_dynamic_mac": (True, True)},
        stored={"override_dynamic_mac": True},
    ),
    "ovn_bfd": Values(
        key={"logical_port": "rp2", "dst_ip": "192.0.2.77"},
        values={
            "min_tx": (1, 300),
            "min_rx": (0, 300),
            "detect_mult": (1, 5),
            "options": TEXTS,
            "external_ids": TEXTS,
        },
    ),
}

STRING = {"key": "string", "min": 0, "max": 1}
MAP = {"key": "string", "value": "string", "min": 0, "max": "unlimited"}
FIELDS = ["eth_src", "eth_dst", "ip_proto", "ip_src", "ip_dst", "ipv6_src", "ipv6_dst", "tp_src", "tp_dst"]
MARK = {"type": "integer", "minInteger": 0, "maxInteger": 4294967295}


def _enum(*values: str) -> dict[str, Any]:
    return {"type": "string", "enum": ["set", list(values)]}


NEWER = {
    ("ACL", "tier"): {"key": {"type": "integer", "minInteger": 0, "maxInteger": 3}},
    ("Logical_Router_Static_Route", "selection_fields"): {"key": _enum(*FIELDS), "min": 0, "max": "unlimited"},
    ("Logical_Router_Policy", "chain"): STRING,
    ("Logical_Router_Policy", "jump_chain"): STRING,
    ("Logical_Router_Policy", "output_port"): {
        "key": {"type": "uuid", "refTable": "Logical_Router_Port", "refType": "weak"},
        "min": 0,
        "max": 1,
    },
    ("Logical_Router_Policy", "bfd_sessions"): {
        "key": {"type": "uuid", "refTable": "BFD", "refType": "weak"},
        "min": 0,
        "max": "unlimited",
    },
    ("NAT", "priority"): {"key": {"type": "integer", "minInteger": 0, "maxInteger": 32767}},
    ("NAT", "match"): "string",
    ("DNS", "options"): MAP,
    ("QoS", "action"): {"key": _enum("dscp", "mark"), "value": MARK, "min": 0, "max": "unlimited"},
    ("Logical_Router_Policy", "action"): {"key": _enum("allow", "drop", "reroute", "jump")},
}
"""Columns as OVN 25.03 has them, for a server of an older release."""
