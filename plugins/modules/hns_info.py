#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""Documentation of `hns_info`; the action plugin of the same name carries it out."""

from __future__ import annotations

DOCUMENTATION = r"""
module: hns_info
short_description: What the Windows Host Networking Service has
version_added: 0.1.0
author: the ovn_k8s.cluster authors (@ovn-k8s)
description:
  - Reads HNS's version, what it supports, and its objects, in the options of the modules that manage them.
extends_documentation_fragment:
  - ovn_k8s.cluster._windows
attributes:
  check_mode:
    description: Changes nothing.
    support: full
options:
  gather:
    description: Kinds of objects to return.
    type: list
    elements: str
    choices: [networks, endpoints, load_balancers, namespaces]
    default: [networks, endpoints, load_balancers, namespaces]
  name:
    description: Return only objects of this name.
    type: str
"""

EXAMPLES = r"""
- name: Look at all of it
  ovn_k8s.cluster.hns_info:
  register: hns
"""

RETURN = r"""
version:
  description: Version of HNS.
  type: str
  returned: always
  sample: "13.2"
features:
  description: What this HNS supports.
  type: list
  elements: str
  returned: always
networks:
  description: The networks.
  type: list
  elements: dict
  returned: when asked for in O(gather)
endpoints:
  description: The endpoints.
  type: list
  elements: dict
  returned: when asked for in O(gather)
load_balancers:
  description: The load balancers.
  type: list
  elements: dict
  returned: when asked for in O(gather)
namespaces:
  description: The namespaces.
  type: list
  elements: dict
  returned: when asked for in O(gather)
"""
