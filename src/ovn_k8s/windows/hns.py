# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""HNS by JSON: `python -m ovn_k8s.windows.hns` reads one request on standard input and answers on standard output.

Requests:
    {"operation": "info"}
    {"operation": "plan",  "wanted": {...}, "replace": false, "force": false}
    {"operation": "apply", "wanted": {...}, "replace": false, "force": false, "detached": false,
     "job": "..."}
    {"operation": "result", "job": "..."}
`wanted` is what `ovn_k8s.core.hns.options` reads. A detached apply goes on when the connection of the caller breaks;
its result is fetched by `result`. The caller may choose its `job`, and ask again when the answer did not come.
The answer has `ok`; when that is false, `error` and `kind` (the name of the error), and the exit status is 1.
Everything is ASCII, because consoles differ in what else they pass.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from typing import IO, Any

from ovn_k8s.core.hns.errors import HnsError, InvalidObject
from ovn_k8s.core.hns.objects import view
from ovn_k8s.core.hns.options import Wanted, read_wanted
from ovn_k8s.core.hns.plan import Inventory, Plan, make_plan
from ovn_k8s.core.hns.versions import supported

from .host_network import Hcn, carry_out, read_inventory

Answer = dict[str, Any]


def answer(request: Mapping[str, Any], library: Hcn) -> Answer:
    """Carry out one request other than a detached one. Raises HnsError."""
    operation = request.get("operation")
    if operation == "info":
        return info(read_inventory(library))
    if operation not in ("plan", "apply"):
        raise InvalidObject(f"operation is {operation!r}, not info, plan, apply or result")
    wanted = wanted_of(request)
    actual = read_inventory(library)
    plan = make_plan(wanted, actual, replace=request.get("replace") is True, force=request.get("force") is True)
    if operation == "apply" and plan:
        carry_out(library, plan, actual)
    return planned(plan)


def wanted_of(request: Mapping[str, Any]) -> Wanted:
    """The wanted objects of a request. Raises InvalidObject."""
    wanted = request.get("wanted")
    if not isinstance(wanted, Mapping):
        raise InvalidObject(f"wanted is {wanted!r}, not an object of networks, endpoints and load_balancers")
    return read_wanted(wanted)


def info(actual: Inventory) -> Answer:
    """What HNS has, as options."""
    balancers = [view(item) | {"name": item.name} for item in actual.load_balancers]
    return {
        "version": str(actual.version),
        "features": sorted(supported(actual.version)),
        "networks": [view(item) for item in actual.networks],
        "endpoints": [view(item) for item in actual.endpoints],
        "load_balancers": balancers,
        "namespaces": [view(item) for item in actual.namespaces],
    }


def planned(plan: Plan) -> Answer:
    """What is, or was, to do."""
    return {
        "changed": bool(plan),
        "actions": [str(action) for action in plan.actions],
        "diff": plan.diff(),
        "disruptive": plan.disruptive,
    }


def respond(request: Any) -> Answer:
    """The answer to any request; never raises HnsError."""
    try:
        if not isinstance(request, Mapping):
            raise InvalidObject("the request is not a JSON object")
        return {"ok": True} | _dispatch(request)
    except HnsError as error:
        return {"ok": False, "error": str(error), "kind": type(error).__name__}


def _dispatch(request: Mapping[str, Any]) -> Answer:
    if request.get("operation") == "result" or request.get("detached") is True:
        from . import detached  # noqa: PLC0415 - needs Windows

        if request.get("operation") == "result":
            return detached.result(str(request.get("job")))
        wanted_of(request)
        return {"job": detached.start({**request, "detached": False}, str(request.get("job") or ""))}
    from .hcn_library import HcnLibrary  # noqa: PLC0415 - needs Windows

    return answer(request, HcnLibrary())


def main(stdin: IO[str] = sys.stdin, stdout: IO[str] = sys.stdout) -> int:
    """One request; the exit status."""
    try:
        request = json.loads(stdin.read().lstrip("\ufeff"))
    except ValueError as error:
        reply: Answer = {"ok": False, "error": f"standard input is not JSON: {error}", "kind": "InvalidObject"}
    else:
        reply = respond(request)
    stdout.write(json.dumps(reply) + "\n")
    stdout.flush()
    return 0 if reply["ok"] else 1


if __name__ == "__main__":
    sys.exit(main())
