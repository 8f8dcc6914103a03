# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""Action `validate_inventory`: checks the whole inventory and returns the model of it that the roles use.

It runs on the control machine alone, opens no connection, and looks at all hosts of the inventory whatever
`--limit` says.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

from ansible.errors import AnsibleError
from ansible.plugins.action import ActionBase

from ..plugin_utils.inventory_model import GROUPS, model, read_hosts
from ..plugin_utils.inventory_rules import problems
from ..plugin_utils.machine_rules import outside_facts


class ActionModule(ActionBase):  # type: ignore[misc]
    """Returns the model of the inventory, see `inventory_model.model`."""

    TRANSFERS_FILES = False
    _requires_connection = False
    _supports_check_mode = True
    _supports_async = False
    _VALID_ARGS: frozenset[str] = frozenset()

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        result: dict[str, Any] = super().run(tmp, task_vars)
        task_vars = task_vars or {}
        hostvars = task_vars["hostvars"]

        def variable(host: str, name: str) -> tuple[bool, Any]:
            try:
                of_host = hostvars[host]
                return (True, of_host[name]) if name in of_host else (False, None)
            except AnsibleError as error:
                raise ValueError(str(error)) from error

        def outside(host: str, interfaces: Sequence[str]) -> Mapping[str, str]:
            return outside_facts(hostvars[host].get("ansible_facts", {}), interfaces)

        hosts = read_hosts({group: list(task_vars["groups"].get(group, ())) for group in GROUPS}, variable)
        found = problems(hosts, lambda path: os.path.isfile(os.path.expanduser(path)))
        if found:
            listed = "\n".join(f"  {number}. {problem}." for number, problem in enumerate(found, 1))
            plural = "problem" if len(found) == 1 else "problems"
            return result | {
                "failed": True,
                "msg": "No cluster can be made of this inventory; nothing has been changed. "
                f"{len(found)} {plural}:\n{listed}",
            }
        return result | {"changed": False} | model(hosts, task_vars.get("ansible_play_hosts", list(hostvars)), outside)
