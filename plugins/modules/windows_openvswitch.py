#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""Documentation of `windows_openvswitch`; the action plugin of the same name carries it out."""

from __future__ import annotations

DOCUMENTATION = r"""
module: windows_openvswitch
short_description: Make a Windows host with Open vSwitch a chassis of OVN
version_added: 0.1.0
author: the ovn_k8s.cluster authors (@ovn-k8s)
extends_documentation_fragment:
  - ovn_k8s.cluster._windows
description:
  - Sets in the database of Open vSwitch for Windows who the chassis is, where the southbound database is and with which
    keys it is asked, makes the integration bridge, and puts the uplink into the bridge of the virtual adapter that HNS
    has made.
  - The machine needs Open vSwitch and OVN's C(ovn-controller) for Windows; this module installs neither.
options:
  name:
    description: The C(system-id), which is also the common name of the certificate. It stays when the rest is removed.
    type: str
    required: true
  address:
    description: IPv4 address at which the tunnels of other chassis end. Required with O(state=present).
    type: str
  southbound:
    description: Where OVN's southbound database is, as V(ssl:192.0.2.11:6642). Required with O(state=present).
    type: str
  uplink:
    description: The physical adapter. Required with O(state=present).
    type: str
  private_key:
    description: Path of the key on the host. Required with O(state=present).
    type: str
  certificate:
    description: Path of its certificate on the host. Required with O(state=present).
    type: str
  ca_certificate:
    description: Path of the authority's certificate on the host. Required with O(state=present).
    type: str
  encapsulation:
    description: How packets are carried between chassis.
    type: str
    choices: [geneve, vxlan]
    default: geneve
  remote:
    description: Where C(ovsdb-server) listens on the host.
    type: str
    default: tcp:127.0.0.1:6640
  state:
    description:
      - V(absent) takes away what V(present) has made for the chassis O(name). C(ovn-controller) then leaves OVN.
    type: str
    choices: [present, absent]
    default: present
attributes:
  check_mode:
    description: Says what would change.
    support: full
  diff_mode:
    description: Shows the rows.
    support: full
  idempotent:
    description: A second run changes nothing.
    support: full
"""

EXAMPLES = r"""
- name: Join OVN
  ovn_k8s.cluster.windows_openvswitch:
    name: win1
    address: 10.20.0.21
    southbound: ssl:10.20.0.11:6642
    uplink: Ethernet
    private_key: C:\ProgramData\ovn-k8s\pki\ovn.key
    certificate: C:\ProgramData\ovn-k8s\pki\ovn.crt
    ca_certificate: C:\ProgramData\ovn-k8s\pki\ca.crt
"""

RETURN = r"""
changes:
  description: What was (in check mode, would be) done.
  type: list
  elements: str
  returned: success
"""
