# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""DHCP options (ovn-nb(5), DHCP_Options)."""

from __future__ import annotations

from .forms import ADDRESS4, BRACES, MAC_ADDRESS, NETWORK, QUOTED, Form, between
from .kind import Kind, Option, external_ids, in_map, raw_map

KIND = Kind(
    module="ovn_dhcp_options",
    plural="sets",
    section="dhcp_options",
    table="DHCP_Options",
    text="The sets of options.",
    key=("name",),
    options=(
        Option(
            "name",
            "Name of the set, which C(external_ids:ovn-k8s-id) keeps, since the table has no names. A set that "
            "somebody else has made goes by its UUID.",
        ),
        Option(
            "cidr", "The network whose addresses the options are for. Needed to create it.", form=NETWORK, needed=True
        ),
        in_map("options", "server_id", "Address of the DHCP server; of DHCPv6, its MAC address."),
        in_map("options", "server_mac", "MAC address of the DHCP server.", form=MAC_ADDRESS),
        in_map("options", "lease_time", "Seconds that a lease holds.", type="int", form=between(0, 2**32 - 1)),
        in_map("options", "router", "Address of the gateway.", form=ADDRESS4),
        in_map("options", "dns_server", "Addresses of DNS servers.", type="list", elements="str", form=BRACES),
        in_map("options", "ntp_server", "Addresses of NTP servers.", type="list", elements="str", form=BRACES),
        in_map("options", "mtu", "MTU of the interface, 68 to 65535.", type="int", form=between(68, 65535)),
        in_map("options", "domain_name", "Domain of the machine.", form=QUOTED),
        in_map(
            "options",
            "domain_search_list",
            "Domains in which names are looked up.",
            type="list",
            elements="str",
            form=Form(
                lambda names: QUOTED.write(", ".join(names)),
                lambda text: [part.strip() for part in QUOTED.read(text).split(",") if part.strip()],
            ),
        ),
        in_map("options", "bootfile_name", "File to boot from.", form=QUOTED),
        in_map("options", "tftp_server", "Name of the server that has the file.", form=QUOTED),
        in_map("options", "next_server", "Address of the server that has the file.", form=ADDRESS4),
        in_map("options", "dhcpv6_stateless", "Of DHCPv6, whether addresses come from elsewhere.", type="bool"),
        raw_map("options"),
        external_ids(),
    ),
)
