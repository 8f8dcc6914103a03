#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors

from __future__ import annotations

DOCUMENTATION = r"""
module: ovn_sb_info
short_description: Read which chassis OVN has, and which ports are up where
version_added: 0.1.0
description:
  - Returns the chassis and the port bindings of the southbound database as data.
  - With O(query), also what a JMESPath expression picks out of them.
author:
  - The ovn_k8s.cluster authors (@ovn-k8s)
requirements:
  - The Python library jmespath on the target, if O(query) is used.
extends_documentation_fragment:
  - ovn_k8s.cluster._connection.southbound
  - ovn_k8s.cluster._connection
  - ovn_k8s.cluster._attributes.info
  - ovn_k8s.cluster._attributes.ovn
options:
  sections:
    description:
      - What to read. A large database is read faster without its V(ports).
    type: list
    elements: str
    choices: [chassis, ports]
    default: [chassis, ports]
  query:
    description:
      - A JMESPath expression over a document with the keys RV(chassis) and RV(ports).
    type: str
seealso:
  - module: ovn_k8s.cluster.ovn_nb_info
  - plugin: ovn_k8s.cluster.chassis
    plugin_type: inventory
  - name: JMESPath
    description: The language of O(query).
    link: https://jmespath.org/
"""

EXAMPLES = r"""
- name: What is up where
  ovn_k8s.cluster.ovn_sb_info:
  register: southbound

- name: Ports of pods that no chassis has brought up
  ovn_k8s.cluster.ovn_sb_info:
    sections: [ports]
    query: "ports[?external_ids.pod && !up].name"
  register: waiting

- name: Addresses of the tunnels of gateways
  ovn_k8s.cluster.ovn_sb_info:
    sections: [chassis]
    query: "chassis[?gateway].encapsulations[].ip"
  register: gateways
"""

RETURN = r"""
chassis:
  description:
    - The chassis, sorted by name. C(nb_cfg) is the generation of the configuration that the chassis has caught up with.
  returned: when O(sections) has V(chassis)
  type: list
  elements: dict
  sample:
    - name: linux1
      hostname: linux1
      encapsulations:
        - type: geneve
          ip: 192.0.2.12
          options: {csum: "true"}
      bridge_mappings: {physnet: br-ex}
      gateway: false
      cms_options: []
      transport_zones: []
      datapath_type: system
      nb_cfg: 12
      external_ids: {}
      other_config: {}
ports:
  description:
    - The port bindings, sorted by name. C(datapath) is the name of the switch or router, C(chassis) where the port is
      bound, empty when it is not.
  returned: when O(sections) has V(ports)
  type: list
  elements: dict
  sample:
    - name: default_web
      type: ""
      datapath: linux1
      datapath_key: 4
      tunnel_key: 3
      chassis: linux1
      up: true
      addresses: ["0a:58:0a:f4:01:03 10.244.1.3"]
      options: {}
      external_ids: {pod: "true"}
result:
  description: What the query picked out.
  returned: when O(query) is given
  type: raw
  sample: [192.0.2.14]
schema_version:
  description: Version of the database's schema.
  returned: success
  type: str
  sample: 20.27.0
"""

from typing import Any

from ansible_collections.ovn_k8s.cluster.plugins.module_utils.core.errors import PlanError
from ansible_collections.ovn_k8s.cluster.plugins.module_utils.database_module import SOUTHBOUND, connect, create, fail
from ansible_collections.ovn_k8s.cluster.plugins.module_utils.ovsdb.errors import OvsdbError
from ansible_collections.ovn_k8s.cluster.plugins.module_utils.queries import Query
from ansible_collections.ovn_k8s.cluster.plugins.module_utils.southbound import (
    CHASSIS_TABLES,
    PORT_TABLES,
    chassis,
    ports,
)

SECTIONS = ["chassis", "ports"]
OPTIONS = {
    "sections": {"type": "list", "elements": "str", "choices": SECTIONS, "default": SECTIONS},
    "query": {"type": "str"},
}


def main() -> None:
    module = create(OPTIONS, SOUTHBOUND.remote, writes=False)
    query, sections = Query(module), module.params["sections"]
    tables: dict[str, Any] = {}
    if "ports" in sections:
        tables.update(PORT_TABLES)
    if "chassis" in sections:
        tables.update(CHASSIS_TABLES)
    try:
        with connect(module, SOUTHBOUND) as client:
            content = client.snapshot(tables)
    except (OvsdbError, PlanError) as error:
        fail(module, SOUTHBOUND, error)
    found: dict[str, Any] = {}
    if "chassis" in sections:
        found["chassis"] = list(chassis(content))
    if "ports" in sections:
        found["ports"] = list(ports(content))
    module.exit_json(changed=False, **found, **query.results(found), schema_version=content.schema.version)


if __name__ == "__main__":
    main()
