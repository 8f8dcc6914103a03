# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""Runs a module of the collection with arguments as Ansible sends them and reads what it prints."""

from __future__ import annotations

import contextlib
import importlib
import io
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from typing import Any

from ansible.module_utils.testing import patch_module_args
from documented_results import check_result
from working_tree import ROOT, collections_path

__all__ = ["PACKAGE", "ROOT", "ModuleFailed", "collections_path", "finish_module", "run_module", "start_module"]
PACKAGE = "ansible_collections.ovn_k8s.cluster.plugins.modules"


class ModuleFailed(AssertionError):
    """The module ended with fail_json; `result` is what it said."""

    def __init__(self, result: Mapping[str, Any]) -> None:
        super().__init__(result["msg"])
        self.result = result


def run_module(name: str, /, *, check: bool = False, **options: Any) -> dict[str, Any]:
    """Run the module in this process, with diff mode on. Its result has to be as its documentation says.

    Raises:
        ModuleFailed: it failed in an orderly way. An exception that escapes the module is raised as it is.
    """
    if str(collections_path()) not in sys.path:
        sys.path.insert(0, str(collections_path()))
    module = importlib.import_module(f"{PACKAGE}.{name}")
    output = io.StringIO()
    with patch_module_args(_arguments(options, check)), contextlib.redirect_stdout(output):
        try:
            module.main()
        except SystemExit:
            pass
        else:
            raise AssertionError(f"{name} ended without a result")
    result = _result(output.getvalue())
    check_result(name, result)
    return result


def start_module(name: str, /, **options: Any) -> subprocess.Popen[str]:
    """Run the module in a process of its own, for races; read it with `finish_module`."""
    environment = {**os.environ, "PYTHONPATH": str(collections_path())}
    process = subprocess.Popen(
        [sys.executable, "-m", f"{PACKAGE}.{name}"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
    )
    assert process.stdin
    process.stdin.write(json.dumps({"ANSIBLE_MODULE_ARGS": _arguments(options, False)}))
    process.stdin.close()
    process.stdin = None  # communicate() would flush it
    return process


def finish_module(process: subprocess.Popen[str]) -> dict[str, Any]:
    """The result of a module that was started."""
    out, err = process.communicate(timeout=60)
    assert out, err
    return _result(out)


def _arguments(options: Mapping[str, Any], check: bool) -> dict[str, Any]:
    return {**options, "_ansible_check_mode": check, "_ansible_diff": True}


def _result(text: str) -> dict[str, Any]:
    result: dict[str, Any] = json.loads(text.strip().splitlines()[-1])
    result.pop("invocation", None)
    if result.get("failed"):
        raise ModuleFailed(result)
    return result
