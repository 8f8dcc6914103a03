# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""Modules that take one object by its own options, or a list of objects."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.common.validation import (
    check_mutually_exclusive,
    check_required_if,
    check_required_together,
)

RULES = {
    "mutually_exclusive": check_mutually_exclusive,
    "required_if": check_required_if,
    "required_together": check_required_together,
}
"""Rules that an item of a list may have, and how a single object is checked against them."""


def one_or_many(plural: str, listed: Mapping[str, Any]) -> dict[str, Any]:
    """The argument specification: the list `plural`, and every option of its items by itself."""
    one = {name: _not_required(option) for name, option in listed["options"].items()}
    return {plural: _not_required(listed), **one}


def _not_required(option: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in option.items() if key != "required"}


def given_objects(module: AnsibleModule, plural: str, listed: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The objects of a call. Ends the module when it is told of both, of neither, or of half an object."""
    params, options = module.params, listed["options"]
    if params[plural] is not None:
        refuse_beside(module, plural, options)
        return list(params[plural])
    item = {name: params[name] for name in options}
    needed = [name for name, option in options.items() if option.get("required")]
    if missing := [name for name in needed if item[name] is None]:
        module.fail_json(msg=f"missing: {', '.join(missing)} of a single object, or {plural}")
    given = {name: value for name, value in item.items() if value is not None}
    for name, check in RULES.items():
        try:
            check(listed.get(name), given)
        except TypeError as error:
            module.fail_json(msg=str(error))
    return [item]


def refuse_beside(module: AnsibleModule, plural: str, options: Iterable[str]) -> None:
    """See that nothing of a single object stands beside a list."""
    given = [name for name in options if module.params[name] not in (None, []) and name != "state"]
    if given or module.params["state"] != "present":
        module.fail_json(msg=f"{', '.join(given) or 'state'}: not beside {plural}; give it to each of its items")
