# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""What a watcher test acts on, and what it waits for."""

from __future__ import annotations

import json
from dataclasses import dataclass

from control_plane import ControlPlane, Objects, eventually
from northbound import Northbound, WatcherProcess


@dataclass
class World:
    """What a test acts on."""

    plane: ControlPlane
    nb: Northbound
    watcher: WatcherProcess
    objects: Objects


def wait_for(world: World, *names: str, seconds: float = 30.0) -> dict[str, str]:
    """Wait until exactly these pods of the test have ports; returns their addresses."""
    wanted = {f"{world.objects.namespace}_{name}" for name in names}
    for last in eventually(seconds):
        found = world.nb.addresses()
        if set(found) == wanted:
            return {name.split("_", 1)[1]: address for name, address in found.items()}
        assert not last, f"ports: {sorted(found)}, wanted: {sorted(wanted)}"
    raise AssertionError


def annotation(world: World, name: str) -> dict[str, str] | None:
    """The pod's annotation `ovn`."""
    text = world.objects.get("pods", name)["metadata"].get("annotations", {}).get("ovn")
    return json.loads(text) if text else None
