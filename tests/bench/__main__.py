# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""All measurements, one JSON object a line on standard output; what is going on goes to standard error.

The lab is started and made a cluster first, if it is not one yet, and stays. `python -m tests.bench NAME…` runs some;
`growth` runs only when it is named, as it takes long.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

HERE = Path(__file__).parent
TREE = HERE.parents[1]
SITE = ("exec", "--", "ansible-playbook", "-i", "inventories/lab", "playbooks/site.yml")


def lab(*words: str) -> None:
    """Run a lab command with its output on standard error; a failure ends the benchmark."""
    command = [sys.executable, "-m", "lab", *words]
    if subprocess.run(command, cwd=TREE, stdout=sys.stderr, check=False).returncode:
        sys.exit(f"{' '.join(words)} failed")


def site_second_run() -> None:
    """A run of site.yml that has nothing to change."""
    begun = time.monotonic()
    lab(*SITE)
    value = round(time.monotonic() - begun, 1)
    print(json.dumps({"name": "site_second_run_s", "value": value, "unit": "s"}), flush=True)


def script(name: str, *options: str) -> Callable[[], None]:
    """A benchmark that is a program of its own."""

    def run() -> None:
        if subprocess.run([sys.executable, str(HERE / name), *options], cwd=TREE, check=False).returncode:
            sys.exit(f"{name} failed")

    return run


IN_THE_LAB = {
    "site_second_run": site_second_run,
    "cni_add": script("cni_add.py"),
    "pod_ready": script("pod_ready.py"),
}
ON_THIS_MACHINE = {
    "gateway_traffic": script("gateway_traffic.py"),
    "watcher_pods": script("watcher_pods.py"),
    "watcher_services": script("watcher_services.py"),
    "watcher_policies": script("watcher_policies.py"),
    "ovn_modules": script("ovn_modules.py"),
}
ON_REQUEST = {"growth": script("growth.py")}


def main(names: Sequence[str]) -> int:
    usual = {**IN_THE_LAB, **ON_THIS_MACHINE}
    known = {**usual, **ON_REQUEST}
    unknown = [name for name in names if name not in known]
    if unknown:
        sys.exit(f"no benchmark {', '.join(unknown)}; there are {', '.join(known)}")
    chosen = list(names) or list(usual)
    if any(name in IN_THE_LAB for name in chosen):
        lab("up")
        lab(*SITE)
    for name in chosen:
        print(f"bench: {name}", file=sys.stderr, flush=True)
        known[name]()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
