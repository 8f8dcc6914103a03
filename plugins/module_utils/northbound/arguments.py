# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""The argument specification of kinds, and the documentation that says the same."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from .kind import Kind, Option

STATES = ["present", "absent"]
STATE_TEXT = "Whether it shall be there."
CLEAR_TEXT = (
    "Names of options whose column, or key of a map, is emptied, so that it has the database's default again. A map "
    "that is named here and given as well becomes exactly what is given."
)


def _described(kind: Kind, options: Iterable[Option]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Options as documentation, which has all that a specification has: name, then attributes."""
    listed = list(options)
    key = [option for option in listed if option.name in kind.key]
    for option in key:
        yield option.name, _attributes(option)
    for holder in kind.holders:
        yield holder.option, {"description": [holder.text], "type": "str"}
    for option in listed:
        if option not in key:
            yield option.name, _attributes(option)


def _attributes(option: Option) -> dict[str, Any]:
    text = f"{option.text} Needs OVN {option.since} or newer." if option.since else option.text
    attributes: dict[str, Any] = {"description": [text], "type": option.type}
    if option.elements:
        attributes["elements"] = option.elements
    if option.choices:
        attributes["choices"] = list(option.choices)
    if option.children:
        attributes["suboptions"] = {
            part.name: {**_attributes(part), **({"required": True} if part.needed else {})}
            for part in option.children.options
        }
    return attributes


def _item(kind: Kind, *, in_document: bool) -> dict[str, Any]:
    """The suboptions of one object in a list."""
    options = dict(_described(kind, (o for o in kind.options if not (in_document and o.alone))))
    for name in kind.key:
        option = next(option for option in kind.options if option.name == name)
        if option.needed or kind.key == ("name",):
            options[name]["required"] = True
    if not in_document:
        options |= _state_and_clear(kind)
    return options


def _state_and_clear(kind: Kind) -> dict[str, Any]:
    result: dict[str, Any] = {
        "state": {"description": [STATE_TEXT], "type": "str", "choices": STATES, "default": "present"}
    }
    if kind.clearable:
        result["clear"] = {
            "description": [CLEAR_TEXT],
            "type": "list",
            "elements": "str",
            "choices": list(kind.clearable),
            "default": [],
        }
    return result


def module_documentation(kind: Kind) -> dict[str, Any]:
    """The options of a kind's own module: one object, or a list of them."""
    many = _item(kind, in_document=False)
    one = {name: {key: value for key, value in option.items() if key != "required"} for name, option in many.items()}
    needed = ", ".join(f"O({name})" for name, option in many.items() if option.get("required"))
    listed = {
        "description": [kind.text, f"Either this or the options of a single one, which needs {needed}."],
        "type": "list",
        "elements": "dict",
        "suboptions": many,
    }
    return {kind.plural: listed, **one}


def network_documentation(kinds: Iterable[Kind]) -> dict[str, Any]:
    """The options of a document: a list for each kind."""
    return {
        kind.section: {
            "description": [f"{kind.text} See M(ovn_k8s.cluster.{kind.module})."],
            "type": "list",
            "elements": "dict",
            "suboptions": _item(kind, in_document=True),
        }
        for kind in kinds
    }


def specification(documentation: dict[str, Any]) -> dict[str, Any]:
    """The argument specification of options that are documented so."""
    result = {}
    for name, attributes in documentation.items():
        option = {key: value for key, value in attributes.items() if key not in ("description", "suboptions")}
        if "suboptions" in attributes:
            option["options"] = specification(attributes["suboptions"])
        if name.endswith("_key"):
            option["no_log"] = False  # a number of a tunnel, not a secret
        result[name] = option
    return result
