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
  query:
    description:
      - A JMESPath expression over RV(tables).
    type: str
seealso:
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
"""

RETURN = r"""
tables:
  description:
    - The rows of each table, sorted by name. A column is a string, number or boolean, null if it is empty, a sorted
      list, or a dictionary. C(_uuid) is the row's own identity.
  returned: success
  type: dict
  sample:
    Logical_Switch:
      - _uuid: 0f6e8f4c-1f6e-4c0a-8a0e-2d1d1a3f6a11
        name: linux1
        ports: [k8s-linux1, stor-linux1]
        other_config:
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
    module = create(OPTIONS, NORTHBOUND.remote, writes=False)
    query = compiled(module)
    try:
        with connect(module, NORTHBOUND) as client:
            names = checked_tables(client.schema, module.params["tables"])
            content = client.snapshot({**name_columns(client.schema, names), **dict.fromkeys(names)})
        tables: Mapping[str, Any] = {name: described(content, name, module.params["owner"]) for name in names}
    except (OvsdbError, PlanError) as error:
        fail(module, NORTHBOUND, error)
    result = {"tables": tables, "schema_version": client.schema.version}
    if query:
        try:
            result["result"] = query.search(tables)
        except jmespath.exceptions.JMESPathError as error:
            module.fail_json(msg=f"query {module.params['query']!r} fails on this database: {error}")
    module.exit_json(changed=False, **result)


if __name__ == "__main__":
    main()
