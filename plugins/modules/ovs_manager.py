#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors

from __future__ import annotations

DOCUMENTATION = r"""
module: ovs_manager
short_description: Say who may configure Open vSwitch over its database, and with which certificate
version_added: 0.1.0
description:
  - Makes the managers of Open vSwitch exactly those of a list, which are addresses where its database server listens or
    that it connects to, and sets the files that Open vSwitch uses for TLS, in one transaction.
  - The database server acts on the change at once, if it was started with a remote that reads its database, as the
    service of every distribution does.
author:
  - The ovn_k8s.cluster authors (@ovn-k8s)
extends_documentation_fragment:
  - ovn_k8s.cluster._connection.open_vswitch
  - ovn_k8s.cluster._connection
  - ovn_k8s.cluster._connection.assume_empty
  - ovn_k8s.cluster._attributes
  - ovn_k8s.cluster._attributes.ovs
options:
  managers:
    description:
      - All managers that there shall be; others are removed. An empty list leaves the unix socket only, which is none
        of these.
      - Left out, the managers stay as they are. A setting that a manager is not given has its default.
    type: list
    elements: dict
    suboptions:
      target:
        description:
          - V(pssl:port[:address]) or V(ptcp:port[:address]) to listen; V(ssl:address:port) or V(tcp:address:port) to
            connect. An IPv6 address stands in brackets.
        type: str
        required: true
      connection_mode:
        description:
          - Whether the manager is reached through the bridges themselves.
        type: str
        choices: [in-band, out-of-band]
      inactivity_probe:
        description:
          - Milliseconds of silence after which the server asks whether the peer is still there; V(0) turns that off.
        type: int
      max_backoff:
        description:
          - Longest time between two attempts to connect, in milliseconds, at least 1000.
        type: int
      dscp:
        description:
          - Mark of the packets that are sent, 0 to 63.
        type: int
      external_ids:
        description:
          - Keys and values for other programs.
        type: dict
  ssl:
    description:
      - The files of Open vSwitch's own TLS, on the machine that it runs on. Left out, they stay as they are.
    type: dict
    suboptions:
      state:
        description: Whether there shall be such files at all.
        type: str
        choices: [present, absent]
        default: present
      private_key:
        description: Path of the PEM file with the private key.
        type: path
      certificate:
        description: Path of the PEM file with the certificate.
        type: path
      ca_certificate:
        description: Path of the PEM file with the authority that the certificates of peers must come from.
        type: path
      bootstrap:
        description:
          - Trust the first peer, and write the authority that it shows to O(ssl.ca_certificate), if there is no such
            file. Whoever answers first is believed.
        type: bool
        default: false
seealso:
  - module: ovn_k8s.cluster.ovn_connection
  - module: ovn_k8s.cluster.ovs_bridge
"""

EXAMPLES = r"""
- name: A controller may configure the switch over TLS
  ovn_k8s.cluster.ovs_manager:
    managers:
      - target: ssl:192.0.2.11:6640
        inactivity_probe: 30000
      - target: pssl:6640:127.0.0.1
    ssl:
      private_key: /etc/openvswitch/switch.key
      certificate: /etc/openvswitch/switch.crt
      ca_certificate: /etc/openvswitch/ca.crt

- name: Nobody but this machine any more
  ovn_k8s.cluster.ovs_manager:
    managers: []
    ssl:
      state: absent
"""

RETURN = r"""
changes:
  description: The rows that were changed; in check mode, that would be.
  returned: success
  type: list
  elements: dict
  sample:
    - action: create
      table: Manager
      name: pssl:6640:127.0.0.1
"""

import re
from typing import Any

from ansible_collections.ovn_k8s.cluster.plugins.module_utils.columns import map_patch
from ansible_collections.ovn_k8s.cluster.plugins.module_utils.core.database import SINGLETON_NAME, Database
from ansible_collections.ovn_k8s.cluster.plugins.module_utils.core.rows import Parent, Ref, Row
from ansible_collections.ovn_k8s.cluster.plugins.module_utils.database_module import (
    EMPTY,
    OPEN_VSWITCH,
    Wish,
    create,
    fulfil,
)

TARGET = re.compile(r"p?(tcp|ssl):\S+|p?unix:/\S+")
OPTIONS = {
    "managers": {
        "type": "list",
        "elements": "dict",
        "options": {
            "target": {"type": "str", "required": True},
            "connection_mode": {"type": "str", "choices": ["in-band", "out-of-band"]},
            "inactivity_probe": {"type": "int"},
            "max_backoff": {"type": "int"},
            "dscp": {"type": "int"},
            "external_ids": {"type": "dict"},
        },
    },
    "ssl": {
        "type": "dict",
        "required_if": [("state", "present", ["private_key", "certificate", "ca_certificate"])],
        "options": {
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            "private_key": {"type": "path", "no_log": False},
            "certificate": {"type": "path"},
            "ca_certificate": {"type": "path"},
            "bootstrap": {"type": "bool", "default": False},
        },
    },
}


def manager_row(manager: dict[str, Any]) -> Row:
    """A manager with everything that it is not told reset to the server's defaults."""
    columns = {name: manager[name] for name in ("connection_mode", "inactivity_probe", "max_backoff")}
    columns["other_config"] = {} if manager["dscp"] is None else {"dscp": str(manager["dscp"])}
    columns["external_ids"] = dict(map_patch(manager["external_ids"] or {}).set)
    place = Parent("Open_vSwitch", SINGLETON_NAME, "manager_options")
    return Row("Manager", manager["target"], columns, parent=place)


def ssl_rows(files: dict[str, Any]) -> list[Row]:
    """The one row of the table SSL, and what refers to it; or that nothing does."""
    if files["state"] == "absent":
        return [Row("Open_vSwitch", SINGLETON_NAME, {"ssl": None})]
    columns = {
        "private_key": files["private_key"],
        "certificate": files["certificate"],
        "ca_cert": files["ca_certificate"],
        "bootstrap_ca_cert": files["bootstrap"],
    }
    return [
        Row("SSL", SINGLETON_NAME, columns),
        Row("Open_vSwitch", SINGLETON_NAME, {"ssl": Ref("SSL", SINGLETON_NAME)}),
    ]


def complaint(manager: dict[str, Any]) -> str | None:
    """What is wrong with a manager that no schema would notice."""
    if not TARGET.fullmatch(manager["target"]):
        return "write pssl:port[:address], ptcp:port[:address], ssl:host:port or tcp:host:port"
    if (manager["inactivity_probe"] or 0) < 0:
        return "inactivity_probe is a number of milliseconds, or 0 for none"
    if manager["dscp"] is not None and not 0 <= manager["dscp"] <= 63:
        return "dscp is 0 to 63"
    return None


def main() -> None:
    module = create(OPTIONS, OPEN_VSWITCH.remote)
    managers, files = module.params["managers"], module.params["ssl"]
    for manager in managers or ():
        if wrong := complaint(manager):
            module.fail_json(msg=f"manager {manager['target']!r}: {wrong}")

    def wish(actual: Database) -> Wish:
        rows = [manager_row(manager) for manager in managers or ()]
        absent = []
        if managers is not None and actual is not EMPTY:
            kept = {row.name for row in rows}
            stored = [str(row.columns["target"]) for row in actual.rows("Manager")]
            absent = [("Manager", target) for target in stored if target not in kept]
        return Wish([*rows, *(ssl_rows(files) if files else ())], absent)

    fulfil(module, OPEN_VSWITCH, ["Open_vSwitch", "Manager", "SSL"], wish)


if __name__ == "__main__":
    main()
