# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""Which services the stand-in programs of a machine can do the work of."""

from __future__ import annotations

import threading

from . import kube_proxy
from .computer import Computer
from .hcn_emulator import Emulator
from .kubelet import settings
from .kubelet.kubelet import Kubelet
from .kubelet.runtime import Runtime
from .openvswitch import OpenVSwitch
from .programs import Maker, Work


class Idle:
    """A service that is there, and does nothing that anybody could see."""

    def run(self, stop: threading.Event) -> None:
        """Wait for the end."""
        stop.wait()


def services(computer: Computer, emulator: Emulator, runtime: Runtime, switch: OpenVSwitch) -> dict[str, Maker]:
    """Program name to what makes its work."""

    def kubelet(words: list[str]) -> Work:
        return Kubelet(settings.read(words, computer.drive, computer.memory.hostname), runtime)

    def proxy(words: list[str]) -> Work:
        return kube_proxy.KubeProxy(kube_proxy.read(words, computer.drive), emulator)

    return {
        **dict.fromkeys(("hns", "vmcompute", "vmms"), lambda words: Idle()),
        "kube-proxy": proxy,
        "containerd": runtime.serve,
        "dockerd": runtime.serve_dockerd,
        "cri-dockerd": runtime.serve_cri_dockerd,
        "kubelet": kubelet,
        "ovsdb-server": switch.serve_database,
        "ovs-vswitchd": switch.serve_switch,
        "ovn-controller": switch.serve_controller,
    }
