# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""Arguments of a module are refused here as Windows would refuse them: by the module's own specification."""

from __future__ import annotations

import ast
import functools
import re
from pathlib import Path
from typing import Any

import yaml
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator

from .powershell_spec import Unreadable, specification

RULES = ("mutually_exclusive", "required_together", "required_one_of", "required_if", "required_by")


class ArgumentError(Exception):
    """The module does not take these arguments."""


def checked(path: str, source: str, arguments: dict[str, Any]) -> dict[str, Any]:
    """The arguments with defaults put in and types made right. Raises ArgumentError.

    `path` is the module's file on the control machine, beside which its documentation lies; `source` is its text.
    """
    options, rules = _from_source(source)
    if options is None:
        options = _from_documentation(path)
    if options is None:
        raise ArgumentError(f"STAND-IN: what arguments {Path(path).stem} takes cannot be found out")
    # What an action plugin and its module say to each other is not in the documentation; some begins with _, and where
    # that is there, the plugin has checked the rest.
    internal = any(name.startswith("_") and name not in options for name in arguments)
    private = {name: value for name, value in arguments.items() if internal and name not in options}
    public = {name: value for name, value in arguments.items() if name not in private}
    validated = ArgumentSpecValidator(options, **rules).validate(public)
    if validated.error_messages:
        unknown = "Unsupported parameters for the module: " if validated.unsupported_parameters else ""
        raise ArgumentError(unknown + "; ".join(validated.error_messages))
    return {**validated.validated_parameters, **private}


def supports_check_mode(source: str) -> bool:
    """Whether the module says so."""
    return re.search(r"supports_check_mode\s*=?\s*\$true", source, re.IGNORECASE) is not None


def _from_source(source: str) -> tuple[dict[str, Any] | None, dict[str, Any]]:
    try:
        found = specification(source)
    except Unreadable:
        return None, {}
    if not found or "options" not in found:
        return None, {}
    return _plain(found["options"]), {name: found[name] for name in RULES if name in found}


def _plain(options: dict[str, Any]) -> dict[str, Any]:
    for option in options.values():
        kind = str(option.get("type", "str"))
        if kind.startswith("$"):
            option["type"] = "raw"
        elif kind in ("path", "sid"):
            option["type"] = "str"
        if isinstance(option.get("aliases"), str):
            option["aliases"] = [option["aliases"]]
        if "options" in option:
            _plain(option["options"])
    return options


@functools.cache
def _from_documentation(path: str) -> dict[str, Any] | None:
    file = Path(path).with_suffix(".py")
    if not file.exists():
        return None
    for node in ast.parse(file.read_text()).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "DOCUMENTATION":
            return _documented(yaml.safe_load(ast.literal_eval(node.value)).get("options") or {})
    return None


def _documented(options: dict[str, Any]) -> dict[str, Any]:
    found = {}
    for name, option in options.items():
        kept = {
            key: option[key]
            for key in ("type", "required", "default", "aliases", "elements", "choices")
            if key in option
        }
        if isinstance(kept.get("choices"), dict):
            kept["choices"] = list(kept["choices"])
        if kept.get("type") == "path":
            kept["type"] = "str"
        if kept.get("required"):
            kept.pop("default", None)
        if "suboptions" in option:
            kept["options"] = _documented(option["suboptions"])
        if name == "free_form":
            kept["required"] = False
        found["_raw_params" if name == "free_form" else name] = kept
    return found
