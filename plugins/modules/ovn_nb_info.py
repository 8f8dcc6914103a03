#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors

from __future__ import annotations

DOCUMENTATION = r"""
module: ovn_nb_info
short_description: Read the northbound database of OVN
version_added: 0.1.0
description:
  - Returns the rows of the northbound database as data. References to other rows are given by name where they have one.
  - Or, with O(network), its objects as the document that M(ovn_k8s.cluster.ovn_nb) takes.
  - With O(query), also what a JMESPath expression picks out of them.
author:
  - The ovn_k8s.cluster authors (@ovn-k8s)
requirements:
  - The Python library jmespath on the target, if O(query) is used.
extends_documentation_fragment:
  - ovn_k8s.cluster._connection.northbound
  - ovn_k8s.cluster._connection
  - ovn_k8s.cluster._attributes.info
  - ovn_k8s.cluster._attributes.ovn
options:
  tables:
    description:
      - Names of the tables to read, as V(Logical_Switch). All of them unless given.
    type: list
    elements: str
  owner:
    description:
      - Return only rows whose C(external_ids:ovn-k8s-owner) is this one.
    type: str
  network:
    description:
      - Return RV(network) in place of RV(tables).
    type: bool
    default: false
  query:
    description:
      - A JMESPath expression over RV(tables) or RV(network).
    type: str
seealso:
  - module: ovn_k8s.cluster.ovn_nb
  - name: JMESPath
    description: The language of O(query).
    link: https://jmespath.org/
"""

EXAMPLES = r"""
- name: Everything there is
  ovn_k8s.cluster.ovn_nb_info:
  register: northbound

- name: The subnet of each switch that has one
  ovn_k8s.cluster.ovn_nb_info:
    tables: [Logical_Switch]
    query: "Logical_Switch[?other_config.subnet].{name: name, subnet: other_config.subnet}"
  register: subnets

- name: The network of an owner as a document, to look at, to keep, or to hand to ovn_nb
  ovn_k8s.cluster.ovn_nb_info:
    network: true
    owner: shop
  register: shop
"""

RETURN = r"""
tables:
  description:
    - The rows of each table, sorted by name. A column is a string, number or boolean, null if it is empty, a sorted
      list, or a dictionary. C(_uuid) is the row's own identity.
  returned: unless O(network)
  type: dict
  sample:
    Logical_Switch:
      - _uuid: 0f6e8f4c-1f6e-4c0a-8a0e-2d1d1a3f6a11
        name: linux1
        ports: [k8s-linux1, stor-linux1]
        other_config:
          subnet: 10.244.1.0/24
network:
  description:
    - The objects, in a list for each kind that there is some of. Options that have nothing to say are left out.
    - Given to M(ovn_k8s.cluster.ovn_nb) with O(ovn_k8s.cluster.ovn_nb#module:state=overridden) and the same owner, it
      changes nothing.
  returned: when O(network)
  type: dict
  sample:
    switches:
      - name: linux1
        subnet: 10.244.1.0/24
result:
  description: What the query picked out.
  returned: when O(query) is given
  type: raw
  sample:
    - name: linux1
      subnet: 10.244.1.0/24
schema_version:
  description: Version of the database's schema.
  returned: success
  type: str
  sample: 7.0.0
"""

import traceback
from collections.abc import Iterable, Mapping
from typing import Any

from ansible.module_utils.basic import AnsibleModule, missing_required_lib
from ansible_collections.ovn_k8s.cluster.plugins.module_utils.core.content import described, name_columns
from ansible_collections.ovn_k8s.cluster.plugins.module_utils.core.errors import InvalidValue, PlanError
from ansible_collections.ovn_k8s.cluster.plugins.module_utils.core.schema import Schema
from ansible_collections.ovn_k8s.cluster.plugins.module_utils.database_module import NORTHBOUND, connect, create, fail
from ansible_collections.ovn_k8s.cluster.plugins.module_utils.northbound.network import EVERYTHING, document
from ansible_collections.ovn_k8s.cluster.plugins.module_utils.ovsdb.errors import OvsdbError

try:
    import jmespath
except ImportError:
    jmespath = None
    JMESPATH_ERROR: str | None = traceback.format_exc()
else:
    JMESPATH_ERROR = None

OPTIONS = {
    "tables": {"type": "list", "elements": "str"},
    "owner": {"type": "str"},
    "network": {"type": "bool", "default": False},
    "query": {"type": "str"},
}


def checked_tables(schema: Schema, names: Iterable[str] | None) -> list[str]:
    """The tables to read.

    Raises:
        InvalidValue: the schema lacks one.
    """
    for name in names or ():
        if name not in schema.tables:
            known = ", ".join(sorted(schema.tables))
            raise InvalidValue(f"database {schema.name} {schema.version} has no table {name}; it has {known}")
    return sorted(names if names is not None else schema.tables)


def compiled(module: AnsibleModule) -> Any:
    """The query, or None. Ends the module when it cannot be had."""
    if not module.params["query"]:
        return None
    if jmespath is None:
        module.fail_json(msg=missing_required_lib("jmespath", reason="for option query"), exception=JMESPATH_ERROR)
    try:
        return jmespath.compile(module.params["query"])
    except jmespath.exceptions.JMESPathError as error:
        module.fail_json(msg=f"query {module.params['query']!r} is no JMESPath expression: {error}")


def main() -> None:
    module = create(OPTIONS, NORTHBOUND.remote, writes=False, mutually_exclusive=[("tables", "network")])
    query = compiled(module)
    owner = module.params["owner"]
    try:
        with connect(module, NORTHBOUND) as client:
            if module.params["network"]:
                content = client.snapshot(EVERYTHING)
                found: Mapping[str, Any] = document(content, owner)
            else:
                names = checked_tables(client.schema, module.params["tables"])
                content = client.snapshot({**name_columns(client.schema, names), **dict.fromkeys(names)})
                found = {name: described(content, name, owner) for name in names}
    except (OvsdbError, PlanError) as error:
        fail(module, NORTHBOUND, error)
    kept = "network" if module.params["network"] else "tables"
    result = {kept: found, "schema_version": client.schema.version}
    if query:
        try:
            result["result"] = query.search(found)
        except jmespath.exceptions.JMESPathError as error:
            module.fail_json(msg=f"query {module.params['query']!r} fails on this database: {error}")
    module.exit_json(changed=False, **result)


if __name__ == "__main__":
    main()
