# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""The detailed answer of ovn-trace(8) as data."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass, field
from typing import Any

_PIPELINE = re.compile(r'^\s*(ingress|egress)\(dp="(?P<datapath>[^"]*)", (?P<rest>.*)\)\s*$')
_PORT = re.compile(r'(inport|outport)="([^"]*)"')
_STEP = re.compile(
    r"^\s*(?P<number>\d+)\. (?P<table>\w+)(?: \([^)]*\))?: (?P<match>.*), priority (?P<priority>\d+), uuid \w+"
)
_MISS = re.compile(r"^\s*(?P<number>\d+)\. (?P<table>\w+): no match")
_OUTPUT = re.compile(r'/\* output to "(?P<port>[^"]*)", type "(?P<type>[^"]*)" \*/')


@dataclass
class Step:
    """A logical flow that the packet took, with its actions; a table without a flow for it has no `priority`."""

    table: str
    number: int
    match: str
    priority: int | None
    actions: list[str] = field(default_factory=list)


@dataclass
class Pipeline:
    """The packet's way through one pipeline of one switch or router."""

    pipeline: str
    datapath: str
    inport: str
    outport: str
    steps: list[Step] = field(default_factory=list)


@dataclass
class Trace:
    """All of it. `outputs` are the ports that the packet leaves the logical network by."""

    outputs: list[dict[str, str]] = field(default_factory=list)
    pipelines: list[Pipeline] = field(default_factory=list)

    def described(self) -> dict[str, Any]:
        """For results of modules."""
        return asdict(self)


def parse(text: str) -> Trace:
    """Read what `ovn-trace --detailed` prints."""
    trace = Trace()
    for line in text.splitlines():
        pipeline = _PIPELINE.match(line)
        if pipeline:
            ports = dict(_PORT.findall(pipeline["rest"]))
            trace.pipelines.append(
                Pipeline(pipeline[1], pipeline["datapath"], ports.get("inport", ""), ports.get("outport", ""))
            )
            continue
        output = _OUTPUT.search(line)
        if output:
            trace.outputs.append({"port": output["port"], "type": output["type"]})
            continue
        step = _STEP.match(line) or _MISS.match(line)
        if step and trace.pipelines:
            found = step.groupdict()
            priority = int(found["priority"]) if found.get("priority") else None
            trace.pipelines[-1].steps.append(
                Step(step["table"], int(step["number"]), found.get("match") or "", priority)
            )
        elif line.strip().endswith(";") and trace.pipelines and trace.pipelines[-1].steps:
            trace.pipelines[-1].steps[-1].actions.append(line.strip().removesuffix(";"))
    return trace
