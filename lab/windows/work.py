# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""Which services the stand-in programs of a machine can do the work of."""

from __future__ import annotations

import threading
from pathlib import Path

from .computer import Computer
from .hcn_model import Model
from .programs import Maker


class Idle:
    """A service that is there, and does nothing that anybody could see."""

    def run(self, stop: threading.Event) -> None:
        """Wait for the end."""
        stop.wait()


def services(computer: Computer, model: Model, images: Path) -> dict[str, Maker]:
    """Program name to what makes its work."""
    return dict.fromkeys(("hns", "vmcompute", "vmms", "containerd", "kube-proxy", "kubelet"), lambda words: Idle())
