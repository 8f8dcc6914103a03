#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors

from __future__ import annotations

DOCUMENTATION = r"""
module: ovn_nb
short_description: Manage a whole logical network of OVN as one document
version_added: 0.1.0
description:
  - Makes the northbound database agree with a document that lists switches, routers, rules and all else by kind, in one
    transaction, whatever its size.
  - M(ovn_k8s.cluster.ovn_nb_info) returns the same document of what is there.
author:
  - The ovn_k8s.cluster authors (@ovn-k8s)
extends_documentation_fragment:
  - ovn_k8s.cluster._northbound.network
  - ovn_k8s.cluster._connection.northbound
  - ovn_k8s.cluster._connection
  - ovn_k8s.cluster._connection.assume_empty
  - ovn_k8s.cluster._ownership
  - ovn_k8s.cluster._attributes
  - ovn_k8s.cluster._attributes.ovn
options:
  state:
    description:
      - V(merged) makes the objects of O(network) and sets the options that they give; all else stays.
      - V(replaced) also empties the options that they do not give.
      - V(overridden) also deletes all other objects of O(owner), which must not be empty then. Objects of others stay.
      - V(deleted) deletes the objects of O(network), of which only what tells them apart need be given; without
        O(network), all objects of O(owner).
    type: str
    choices: [merged, replaced, overridden, deleted]
    default: merged
seealso:
  - module: ovn_k8s.cluster.ovn_nb_info
"""

EXAMPLES = r"""
- name: A switch, a router and what joins them
  ovn_k8s.cluster.ovn_nb:
    owner: shop
    state: overridden
    network:
      switches:
        - {name: web, subnet: 192.0.2.0/24}
      switch_ports:
        - {name: web1, switch: web, addresses: ["0a:58:c0:00:02:0a 192.0.2.10"]}
        - {name: web-to-edge, switch: web, router_port: edge-to-web}
      routers:
        - {name: edge}
      router_ports:
        - {name: edge-to-web, router: edge, mac: "0a:58:c0:00:02:01", networks: [192.0.2.1/24]}
      static_routes:
        - {router: edge, prefix: 0.0.0.0/0, nexthop: 192.0.2.254}
      acls:
        - {switch: web, direction: to-lport, priority: 1000, match: tcp.dst == 80, action: allow-related}

- name: One more port, and nothing else changes
  ovn_k8s.cluster.ovn_nb:
    owner: shop
    network:
      switch_ports:
        - {name: web2, switch: web, addresses: ["0a:58:c0:00:02:0b 192.0.2.11"]}

- name: The shop has closed
  ovn_k8s.cluster.ovn_nb:
    owner: shop
    state: deleted
"""

RETURN = r"""
changes:
  description: The rows that were changed; in check mode, that would be.
  returned: success
  type: list
  elements: dict
  sample:
    - action: create
      table: Logical_Switch
      name: web
"""

from ansible_collections.ovn_k8s.cluster.plugins.module_utils.database_module import (
    NORTHBOUND,
    create,
    fulfil,
    only_given,
)
from ansible_collections.ovn_k8s.cluster.plugins.module_utils.northbound.arguments import (
    network_documentation,
    specification,
)
from ansible_collections.ovn_k8s.cluster.plugins.module_utils.northbound.catalogue import KINDS
from ansible_collections.ovn_k8s.cluster.plugins.module_utils.northbound.network import (
    STATES,
    selection_for,
    sweeps,
    wish,
)


def main() -> None:
    options = {
        "network": {"type": "dict", "options": specification(network_documentation(KINDS))},
        "state": {"type": "str", "choices": list(STATES), "default": "merged"},
        "owner": {"type": "str", "default": ""},
    }
    module = create(options, NORTHBOUND.remote)
    if module.params["network"] is not None:
        given = {name: items for name, items in module.params["network"].items() if items is not None}
        module.params["network"] = {name: only_given(items) for name, items in given.items()}
    network, state, owner = (module.params[name] for name in ("network", "state", "owner"))
    if network is None and state != "deleted":
        module.fail_json(msg=f"state {state} needs network, the objects that shall be there")
    if sweeps(network, state) and not owner:
        module.fail_json(
            msg=f"state {state} deletes everything else of an owner, and owner is empty: name the owner whose network "
            "this is, or the objects"
        )
    fulfil(module, NORTHBOUND, selection_for(network, state), lambda actual: wish(network, state, owner, actual))


if __name__ == "__main__":
    main()
