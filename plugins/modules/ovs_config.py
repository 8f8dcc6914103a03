#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors

from __future__ import annotations

DOCUMENTATION = r"""
module: ovs_config
short_description: Set what Open vSwitch as a whole is configured with
version_added: 0.1.0
description:
  - Sets and removes keys of C(external_ids) and C(other_config) in the one row of the table C(Open_vSwitch), all in one
    transaction. OVN reads its chassis configuration there.
  - Keys that are not named stay as they are, as daemons and other tools keep theirs in the same maps.
author:
  - The ovn_k8s.cluster authors (@ovn-k8s)
extends_documentation_fragment:
  - ovn_k8s.cluster._connection.open_vswitch
  - ovn_k8s.cluster._connection
  - ovn_k8s.cluster._connection.assume_empty
  - ovn_k8s.cluster._attributes
  - ovn_k8s.cluster._attributes.ovs
options:
  external_ids:
    description:
      - Keys and values, as V(ovn-remote) or V(system-id). Numbers and booleans are taken as they are written in YAML.
      - A key whose value is null is removed.
    type: dict
    default: {}
  other_config:
    description:
      - Keys and values, as V(hw-offload). A key whose value is null is removed.
    type: dict
    default: {}
seealso:
  - module: ovn_k8s.cluster.ovs_bridge
"""

EXAMPLES = r"""
- name: Make this machine a chassis of OVN
  ovn_k8s.cluster.ovs_config:
    external_ids:
      system-id: linux1
      hostname: linux1
      ovn-remote: ssl:192.0.2.11:6642
      ovn-encap-type: geneve
      ovn-encap-ip: 192.0.2.12
      ovn-monitor-all: true
      ovn-openflow-probe-interval: 60

- name: It maps no provider network any more
  ovn_k8s.cluster.ovs_config:
    external_ids:
      ovn-bridge-mappings: null
"""

RETURN = r"""
changes:
  description: The rows that were changed; in check mode, that would be.
  returned: success
  type: list
  elements: dict
  sample:
    - action: update
      table: Open_vSwitch
      name: "."
"""

from ansible_collections.ovn_k8s.cluster.plugins.module_utils.columns import from_options
from ansible_collections.ovn_k8s.cluster.plugins.module_utils.core.database import SINGLETON_NAME, Database
from ansible_collections.ovn_k8s.cluster.plugins.module_utils.core.rows import Row
from ansible_collections.ovn_k8s.cluster.plugins.module_utils.database_module import OPEN_VSWITCH, Wish, create, fulfil

MAPS = ("external_ids", "other_config")


def main() -> None:
    module = create({name: {"type": "dict", "default": {}} for name in MAPS}, OPEN_VSWITCH.remote)

    def wish(_actual: Database) -> Wish:
        return Wish([Row("Open_vSwitch", SINGLETON_NAME, from_options(module.params, (), MAPS))])

    fulfil(module, OPEN_VSWITCH, ["Open_vSwitch"], wish)


if __name__ == "__main__":
    main()
