# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""The modules of ansible.windows that the role uses, carried out on a modelled computer. Any other is refused.

What each does was read in the PowerShell of ansible.windows 3.3.0.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import PurePath
from typing import Any

from ..arguments import ArgumentError, checked, supports_check_mode
from ..computer import Computer
from ..drive import DriveError
from . import commands, copying, features, files
from .call import Call, Failed

MODULES: dict[str, Callable[[Call], dict[str, Any]]] = {
    "win_ping": commands.ping,
    "win_command": commands.command,
    "win_copy": copying.copy,
    "win_feature": features.feature,
    "win_file": files.file,
    "win_stat": files.stat,
}


def run_module(
    computer: Computer, path: str, source: str, arguments: dict[str, Any], environment: dict[str, str]
) -> dict[str, Any]:
    """Carry a module out; its result. `path` is its file on the control machine, `source` its text."""
    name = PurePath(path).stem
    check = bool(arguments.get("_ansible_check_mode"))
    given = {key: value for key, value in arguments.items() if not key.startswith("_ansible_")}
    module = MODULES.get(name)
    if module is None:
        return _failed(f"STAND-IN: nobody has modelled {name}")
    if check and not supports_check_mode(source):
        return {"changed": False, "skipped": True, "msg": f"remote module ({name}) does not support check mode"}
    try:
        call = Call(computer, checked(path, source, given), check, environment)
        with computer.lock:
            result = {"changed": False, **module(call)}
    except Failed as failed:
        return _failed(str(failed), **failed.result)
    except (ArgumentError, DriveError) as error:
        return _failed(str(error))
    return result | {"invocation": {"module_args": given}}


def _failed(message: str, **more: Any) -> dict[str, Any]:
    return {"failed": True, "changed": False, "msg": message, **more}
