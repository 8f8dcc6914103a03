#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors

from __future__ import annotations

DOCUMENTATION = r"""
module: ovn_connection
short_description: Say where the OVN databases listen, and with which certificate
version_added: 0.1.0
description:
  - Makes the listeners of the northbound or the southbound database exactly those of a list, and sets the files that
    the server uses for TLS, in one transaction.
  - The database server acts on the change at once, if it was started with a remote that reads its database, as
    C(ovn-ctl) does. Existing connections of a listener that changes are closed by it.
author:
  - The ovn_k8s.cluster authors (@ovn-k8s)
extends_documentation_fragment:
  - ovn_k8s.cluster._connection
  - ovn_k8s.cluster._connection.assume_empty
  - ovn_k8s.cluster._attributes
  - ovn_k8s.cluster._attributes.ovn
options:
  database:
    description:
      - Which database.
    type: str
    choices: [northbound, southbound]
    required: true
  remote:
    description:
      - Where the database can be reached, as V(unix:/path), V(tcp:host:port) or V(ssl:host:port); the members of a
        clustered database are separated by commas.
      - V(unix:/run/ovn/ovnnb_db.sock) or V(unix:/run/ovn/ovnsb_db.sock) unless given.
    type: str
  listeners:
    description:
      - All listeners that there shall be; others are removed. An empty list leaves the unix socket only, which is
        none of these.
      - Left out, the listeners stay as they are.
    type: list
    elements: dict
    suboptions:
      target:
        description:
          - V(pssl:port[:address]) or V(ptcp:port[:address]) to listen; V(ssl:address:port) or V(tcp:address:port) to
            connect. An IPv6 address stands in brackets.
        type: str
        required: true
      role:
        description:
          - The RBAC role that limits what clients may write, as V(ovn-controller). Southbound only.
        type: str
        default: ''
      read_only:
        description:
          - Whether clients may only read. Southbound only.
        type: bool
        default: false
      inactivity_probe:
        description:
          - Milliseconds of silence after which the server asks whether the client is still there; V(0) turns that off.
          - The server's own default of 5000 holds when it is left out.
        type: int
      max_backoff:
        description:
          - Longest time between two attempts to connect, in milliseconds, at least 1000.
        type: int
  ssl:
    description:
      - The files of the server's own TLS, on the machine that it runs on. Left out, they stay as they are.
    type: dict
    suboptions:
      private_key:
        description: Path of the PEM file with the private key.
        type: path
        required: true
      certificate:
        description: Path of the PEM file with the certificate.
        type: path
        required: true
      ca_certificate:
        description: Path of the PEM file with the authority that client certificates must come from.
        type: path
        required: true
"""

EXAMPLES = r"""
- name: Chassis reach the southbound database with TLS and write only what is theirs
  ovn_k8s.cluster.ovn_connection:
    database: southbound
    listeners:
      - target: pssl:6642
        role: ovn-controller
        inactivity_probe: 60000
    ssl:
      private_key: /etc/ovn-k8s/pki/ovn.key
      certificate: /etc/ovn-k8s/pki/ovn.crt
      ca_certificate: /etc/ovn-k8s/pki/ca.crt

- name: The northbound database is reached through its unix socket only
  ovn_k8s.cluster.ovn_connection:
    database: northbound
    listeners: []
"""

RETURN = r"""
changes:
  description: The rows that were changed; in check mode, that would be.
  returned: success
  type: list
  elements: dict
  sample:
    - action: create
      table: Connection
      name: pssl:6642
"""

import re
from typing import Any

from ansible_collections.ovn_k8s.cluster.plugins.module_utils.core.database import SINGLETON_NAME, Database
from ansible_collections.ovn_k8s.cluster.plugins.module_utils.core.rows import Parent, Ref, Row
from ansible_collections.ovn_k8s.cluster.plugins.module_utils.database_module import (
    NORTHBOUND,
    SOUTHBOUND,
    Wish,
    create,
    fulfil,
)

TARGET = re.compile(r"p?(tcp|ssl):\S+")

OPTIONS = {
    "database": {"type": "str", "choices": ["northbound", "southbound"], "required": True},
    "listeners": {
        "type": "list",
        "elements": "dict",
        "options": {
            "target": {"type": "str", "required": True},
            "role": {"type": "str", "default": ""},
            "read_only": {"type": "bool", "default": False},
            "inactivity_probe": {"type": "int"},
            "max_backoff": {"type": "int"},
        },
    },
    "ssl": {
        "type": "dict",
        "options": {
            "private_key": {"type": "path", "required": True, "no_log": False},
            "certificate": {"type": "path", "required": True},
            "ca_certificate": {"type": "path", "required": True},
        },
    },
}


def listener_row(table: str, listener: dict[str, Any], southbound: bool) -> Row:
    """A listener with everything that it is not told reset to the server's defaults."""
    columns = {name: listener[name] for name in ("inactivity_probe", "max_backoff")}
    if southbound:
        columns |= {name: listener[name] for name in ("role", "read_only")}
    return Row("Connection", listener["target"], columns, parent=Parent(table, SINGLETON_NAME, "connections"))


def ssl_row(files: dict[str, str]) -> Row:
    """The one row of the table SSL."""
    columns = {
        "private_key": files["private_key"],
        "certificate": files["certificate"],
        "ca_cert": files["ca_certificate"],
        "bootstrap_ca_cert": False,
    }
    return Row("SSL", SINGLETON_NAME, columns)


def complaint(listeners: list[dict[str, Any]], southbound: bool) -> str | None:
    """What is wrong with listeners that no schema would notice."""
    for listener in listeners:
        target = listener["target"]
        if not TARGET.fullmatch(target):
            return (
                f"listener {target!r}: write pssl:port[:address], ptcp:port[:address], ssl:host:port or tcp:host:port"
            )
        if not southbound and (listener["role"] or listener["read_only"]):
            return f"listener {target!r}: role and read_only exist in the southbound database only; leave them out"
        if (listener["inactivity_probe"] or 0) < 0:
            return f"listener {target!r}: inactivity_probe is a number of milliseconds, or 0 for none"
    return None


def main() -> None:
    module = create(OPTIONS, None)
    southbound = module.params["database"] == "southbound"
    table = "SB_Global" if southbound else "NB_Global"
    listeners, files = module.params["listeners"], module.params["ssl"]
    wrong = complaint(listeners or [], southbound)
    if wrong:
        module.fail_json(msg=wrong)

    def wish(actual: Database) -> Wish:
        rows, absent = [], []
        if listeners is not None:
            rows += [listener_row(table, listener, southbound) for listener in listeners]
            kept = {row.name for row in rows}
            stored = [str(row.columns["target"]) for row in actual.rows("Connection")]
            absent = [("Connection", target) for target in stored if target not in kept]
        if files:
            rows += [ssl_row(files), Row(table, SINGLETON_NAME, {"ssl": Ref("SSL", SINGLETON_NAME)})]
        return Wish(rows, absent)

    fulfil(module, SOUTHBOUND if southbound else NORTHBOUND, [table, "Connection", "SSL"], wish)


if __name__ == "__main__":
    main()
