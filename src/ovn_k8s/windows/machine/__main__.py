# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""`python -m ovn_k8s.windows.machine`: one request as JSON on standard input, one answer on standard output.

Requests:
    {"operation": "facts"}
    {"operation": "check" | "use", "base": "C:\\…", "version": "…"}              the bundle itself
    {"operation": "missing", "files": [...]}                                     which large files have to be sent
    {"operation": "settle", "check": false, "directories": [...], "files": [...], "absent": [...],
     "firewall": [...], "services": [...], "prune": {"base": "…", "version": "…"}}
    {"operation": "reset", "check": false, "ctr": "C:\\…\\ctr.exe"}               all that `settle` has made
    {"operation": "openvswitch", "check": false, "remote": "tcp:127.0.0.1:6640", "chassis": {...}}
    {"operation": "openvswitch", "check": false, "remote": "tcp:127.0.0.1:6640", "absent": "win1"}
The answer has `ok`; when that is false, `error`, and the exit status is 1. Everything is ASCII, because consoles differ
in what else they pass.
"""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

from . import containers, files, firewall, node, openvswitch, services, versions
from .errors import MachineError
from .files import Change
from .record import Record

Answer = dict[str, Any]


def answer(request: Mapping[str, Any]) -> Answer:
    """Carry out one request. Raises MachineError."""
    operation = request.get("operation")
    if operation == "facts":
        from .facts import facts  # noqa: PLC0415 - needs Windows

        return facts()
    if operation in ("check", "use"):
        base, version = Path(str(request["base"])), str(request["version"])
        return versions.check(base, version) if operation == "check" else {"paths": versions.use(base, version)}
    if operation in ("missing", "settle", "reset"):
        return _on_record(str(operation), request)
    if operation == "openvswitch":
        return told(_chassis(request))
    raise MachineError(f"operation is {operation!r}, which is none of ours")


def _chassis(request: Mapping[str, Any]) -> list[Change]:
    remote, dry = str(request.get("remote")), request.get("check") is True
    if "absent" in request:
        return openvswitch.remove(remote, str(request["absent"]), dry=dry)
    try:
        chassis = openvswitch.Chassis(**request["chassis"])
    except (KeyError, TypeError) as error:
        raise MachineError(f"the request's chassis cannot be read: {error}") from error
    return openvswitch.settle(remote, chassis, dry=dry)


def _on_record(operation: str, request: Mapping[str, Any]) -> Answer:
    from ..folders import data_folder  # noqa: PLC0415 - makes a folder of Windows
    from .service_control import ServiceControl  # noqa: PLC0415 - needs Windows

    record = Record.load(data_folder())
    if operation == "missing":
        found = files.missing(files.read_files(request), record)
        return {"missing": found}
    control = ServiceControl()
    if operation == "settle":
        return settle(request, record, control)
    dry = request.get("check") is True
    was = node.present(record.folder)
    if not dry:
        # Nothing may start them again: the kubelet goes first.
        services.halt("kubelet", control, record)
        containers.remove_all(str(request.get("ctr") or ""))
    changes = services.undo(control, record, dry=dry)
    changes += firewall.undo(record, dry=dry)
    changes += files.undo(record, dry=dry)
    if not dry:
        shutil.rmtree(record.folder, ignore_errors=True)
    return told(changes) | {"hns": control.settings("hns") is not None, "datapath": was.get("datapath", "")}


def settle(
    request: Mapping[str, Any], record: Record, manager: services.Manager, netsh: firewall.Netsh = firewall.run_netsh
) -> Answer:
    """Files first, then firewall, then the services that read and need them. Raises MachineError."""
    dry = request.get("check") is True
    wanted = files.read_files(request)
    rules = firewall.read_rules(request.get("firewall") or [])
    wanted_services = services.read_services(request.get("services") or [])
    changes = files.settle(wanted, record, dry=dry)
    changes += firewall.settle(rules, record, dry=dry, netsh=netsh)
    pending = {file.path: file.digest for file in wanted.files} if dry else {}
    changes += services.settle(wanted_services, manager, record, pending, dry=dry)
    if not dry:
        record.save()
        if prune := request.get("prune"):
            # Last: until here services of an older version may have run.
            versions.prune(Path(str(prune["base"])), str(prune["version"]))
    return told(changes)


def told(changes: list[Change]) -> Answer:
    return {
        "changed": bool(changes),
        "changes": [f"{change.path}: {change.verb}" for change in changes],
        "diff": [change.diff() for change in changes],
    }


def respond(request: Any) -> Answer:
    """The answer to any request; never raises MachineError."""
    try:
        if not isinstance(request, Mapping):
            raise MachineError("the request is not a JSON object")
        return {"ok": True} | answer(request)
    except MachineError as error:
        return {"ok": False, "error": str(error)}


def main(stdin: IO[str] = sys.stdin, stdout: IO[str] = sys.stdout) -> int:
    """One request; the exit status."""
    try:
        request = json.loads(stdin.read().lstrip("\ufeff"))
    except ValueError as error:
        reply: Answer = {"ok": False, "error": f"standard input is not JSON: {error}"}
    else:
        reply = respond(request)
    stdout.write(json.dumps(reply) + "\n")
    stdout.flush()
    return 0 if reply["ok"] else 1


if __name__ == "__main__":
    sys.exit(main())
