#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors

from __future__ import annotations

DOCUMENTATION = r"""
module: ovs_info
short_description: Read what Open vSwitch is configured with, and what it has made of it
version_added: 0.1.0
description:
  - Returns the bridges with their ports, interfaces, mirrors, controllers and queues as one document.
  - With O(query), also what a JMESPath expression picks out of it.
author:
  - The ovn_k8s.cluster authors (@ovn-k8s)
requirements:
  - The Python library jmespath on the target, if O(query) is used.
extends_documentation_fragment:
  - ovn_k8s.cluster._connection.open_vswitch
  - ovn_k8s.cluster._connection
  - ovn_k8s.cluster._attributes.info
  - ovn_k8s.cluster._attributes.ovs
options:
  bridges:
    description:
      - Names of the bridges to return. All of them unless given; one that is not there is left out.
    type: list
    elements: str
  query:
    description:
      - A JMESPath expression over a document with the keys RV(open_vswitch) and RV(bridges).
    type: str
seealso:
  - module: ovn_k8s.cluster.ovs_bridge
  - module: ovn_k8s.cluster.ovs_port
  - name: JMESPath
    description: The language of O(query).
    link: https://jmespath.org/
"""

EXAMPLES = r"""
- name: Everything
  ovn_k8s.cluster.ovs_info:
  register: switch

- name: Interfaces that Open vSwitch could not make
  ovn_k8s.cluster.ovs_info:
    query: "bridges[].ports[].interfaces[?error].{name: name, error: error}[]"
  register: broken
"""

RETURN = r"""
open_vswitch:
  description:
    - The switch as a whole, as the version that runs, C(external_ids), C(other_config), its managers and its TLS files.
    - A value is a string, number or boolean, null if it is empty, a sorted list, or a dictionary.
  returned: success
  type: dict
  sample:
    ovs_version: 3.5.0
    external_ids:
      system-id: linux1
    manager_options: []
    ssl: null
bridges:
  description:
    - The bridges, sorted by name, each with its C(ports), these with their C(interfaces) and C(qos); C(mirrors) name
      their ports.
  returned: success
  type: list
  elements: dict
  sample:
    - name: br-int
      fail_mode: secure
      ports:
        - name: br-int
          tag: null
          interfaces:
            - name: br-int
              type: internal
              ofport: 65534
              error: null
result:
  description: What the query picked out.
  returned: when O(query) is given
  type: raw
  sample: []
"""

from collections.abc import Mapping
from typing import Any

from ansible_collections.ovn_k8s.cluster.plugins.module_utils.core.content import described
from ansible_collections.ovn_k8s.cluster.plugins.module_utils.core.database import Database
from ansible_collections.ovn_k8s.cluster.plugins.module_utils.core.errors import PlanError
from ansible_collections.ovn_k8s.cluster.plugins.module_utils.core.schema import UNLIMITED
from ansible_collections.ovn_k8s.cluster.plugins.module_utils.database_module import OPEN_VSWITCH, connect, create, fail
from ansible_collections.ovn_k8s.cluster.plugins.module_utils.ovsdb.errors import OvsdbError
from ansible_collections.ovn_k8s.cluster.plugins.module_utils.queries import Query

NESTED = {
    "Open_vSwitch": {"manager_options": "Manager", "ssl": "SSL"},
    "Bridge": {"ports": "Port", "controller": "Controller", "mirrors": "Mirror"},
    "Port": {"interfaces": "Interface", "qos": "QoS"},
    "QoS": {"queues": "Queue"},
}
"""Columns whose rows stand in the row that holds them."""
TABLES = ["Open_vSwitch", *{table for columns in NESTED.values() for table in columns.values()}, "Bridge"]
SECRETS = (("options", "psk"),)
HIDDEN = "VALUE_SPECIFIED_IN_NO_LOG_PARAMETER"
"""What Ansible shows in the place of a secret."""


def document(content: Database, names: list[str] | None) -> dict[str, Any]:
    """The switch and its bridges."""
    rows = {
        table: {row["_uuid"]: row for row in described(content, table)}
        for table in TABLES
        if table in content.schema.tables
    }
    switch = next(iter(rows["Open_vSwitch"]), None)
    whole = _nested(content, rows, "Open_vSwitch", switch) if switch else {}
    whole.pop("bridges", None)
    bridges = sorted(rows["Bridge"].values(), key=lambda row: str(row["name"]))
    wanted = [row for row in bridges if names is None or row["name"] in names]
    return {
        "open_vswitch": whole,
        "bridges": [_nested(content, rows, "Bridge", row["_uuid"]) for row in wanted],
    }


def _nested(content: Database, rows: Mapping[str, Mapping[str, Any]], table: str, uuid: str) -> dict[str, Any]:
    result = dict(rows[table][uuid])
    for column, key in SECRETS:
        if key in result.get(column, {}):
            result[column] = {**result[column], key: HIDDEN}
    stored = content.get(table, uuid)
    for column, target in NESTED.get(table, {}).items():
        value = stored.columns[column] if stored else None
        spec = content.schema.tables[table].columns[column]
        if isinstance(value, dict):
            result[column] = {str(k): _nested(content, rows, target, v) for k, v in sorted(value.items())}
        elif spec.max == UNLIMITED:
            inner = [_nested(content, rows, target, item) for item in value or ()]
            result[column] = sorted(inner, key=lambda row: (str(row.get("name") or row.get("target")), row["_uuid"]))
        else:
            result[column] = _nested(content, rows, target, value) if value else None
    return result


def main() -> None:
    options = {"bridges": {"type": "list", "elements": "str"}, "query": {"type": "str"}}
    module = create(options, OPEN_VSWITCH.remote, writes=False)
    query = Query(module)
    try:
        with connect(module, OPEN_VSWITCH) as client:
            found = document(client.snapshot(TABLES), module.params["bridges"])
    except (OvsdbError, PlanError) as error:
        fail(module, OPEN_VSWITCH, error)
    module.exit_json(changed=False, **found, **query.results(found))


if __name__ == "__main__":
    main()
