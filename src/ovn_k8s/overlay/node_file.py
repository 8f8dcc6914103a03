# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""Writing /etc/ovn-k8s/node.toml from the init commands; sections that they know nothing of stay."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ovn_k8s.host.config import ConfigError


def read(path: Path) -> dict[str, Any]:
    """The file as it is; an empty dict when there is none. Raises ConfigError when it is not TOML."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: {error}; repair or remove it") from error


def merged(document: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """The document with these keys changed; a section of `changes` changes keys of that section only."""
    result = dict(document)
    for key, value in changes.items():
        result[key] = {**result.get(key, {}), **value} if isinstance(value, Mapping) else value
    return result


def write(path: Path, document: Mapping[str, Any]) -> None:
    """Replace the file."""
    path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    temporary = path.with_suffix(".new")
    temporary.write_text(to_toml(document), encoding="utf-8")
    temporary.chmod(0o644)
    temporary.replace(path)


def to_toml(document: Mapping[str, Any]) -> str:
    """TOML of texts, numbers and truth values, and of sections of these."""
    lines = [f"{key} = {_value(value)}" for key, value in document.items() if not isinstance(value, Mapping)]
    for name, section in document.items():
        if isinstance(section, Mapping):
            lines += ["", f"[{name}]", *(f"{key} = {_value(value)}" for key, value in section.items())]
    return "\n".join(lines) + "\n"


def _value(value: Any) -> str:
    if not isinstance(value, (str, int)):
        raise ConfigError(f"{value!r} has no place in this file")
    return json.dumps(value)  # TOML's basic strings, integers and booleans are written like JSON's
