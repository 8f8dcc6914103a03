# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""The module of one kind: one object or a list of them."""

from __future__ import annotations

from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ..core.database import Database
from ..database_module import NORTHBOUND, Wish, create, fulfil, only_given
from ..one_or_many import refuse_beside
from .arguments import module_documentation, specification
from .build import Wanted, selection, want
from .kind import Kind

OWNER = {"type": "str", "default": ""}


def run(kind: Kind) -> None:
    """Be the kind's module."""
    spec = {**specification(module_documentation(kind)), "owner": OWNER}
    first = kind.key[-1] if kind.nameless else kind.key[0]
    required = [o.name for o in kind.options if o.name in kind.key and (o.needed or kind.key == ("name",))]
    module = create(
        spec,
        NORTHBOUND.remote,
        required_one_of=[(kind.plural, first if first in required else required[0])],
        mutually_exclusive=[(kind.plural, name) for name in required],
        required_together=[tuple(required)] if len(required) > 1 else [],
    )
    items = _items(kind, module)

    def wish(actual: Database) -> Wish:
        wanted = Wanted(module.params["owner"])
        present = [item for item in items if item["state"] == "present"]
        want(kind, present, [item for item in items if item["state"] == "absent"], actual, wanted)
        return Wish(wanted.rows, wanted.absent, wanted.owner, wanted.unchanged)

    fulfil(module, NORTHBOUND, selection({kind: items}), wish)


def _items(kind: Kind, module: AnsibleModule) -> list[dict[str, Any]]:
    params = module.params
    names = list(specification(module_documentation(kind))[kind.plural]["options"])
    if params[kind.plural] is None:
        return [{name: params[name] for name in names}]
    refuse_beside(module, kind.plural, names)
    params[kind.plural] = only_given(params[kind.plural])
    return list(params[kind.plural])
