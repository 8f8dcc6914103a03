# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""What this machine is: read only, for the preflight."""

from __future__ import annotations

import os
import socket
import time
from typing import Any

from ovn_k8s.core.hns.errors import HnsError

from ..folders import data_place
from . import node, registry
from .adapters import adapters
from .service_control import ServiceControl

_VERSION = r"SOFTWARE\Microsoft\Windows NT\CurrentVersion"
_HNS_STATE = r"SYSTEM\CurrentControlSet\Services\hns\State"
_PENDING = {
    "a feature or an update was installed": (
        r"SOFTWARE\Microsoft\Windows\CurrentVersion\Component Based Servicing\RebootPending"
    ),
    "Windows Update asks for it": (
        r"SOFTWARE\Microsoft\Windows\CurrentVersion\WindowsUpdate\Auto Update\RebootRequired"
    ),
}
_SERVICES = ("hns", "vmcompute", "containerd", "docker", "kubelet", "kube-proxy", "ovn-k8s", "mpssvc")


def facts() -> dict[str, Any]:
    """Everything, as JSON. Raises MachineError."""
    control = ServiceControl()
    return {
        # Not by the module `platform`, which asks WMI: slow, and out of order more often than all else here.
        "name": socket.gethostname(),
        "architecture": os.environ.get("PROCESSOR_ARCHITECTURE", ""),
        "product": str(registry.value(_VERSION, "ProductName") or ""),
        "build": int(registry.value(_VERSION, "CurrentBuildNumber") or 0),
        "revision": int(registry.value(_VERSION, "UBR") or 0),
        "installation_type": str(registry.value(_VERSION, "InstallationType") or ""),
        "hns_version": _hns_version(),
        "pending_reboot": _pending(),
        "time": time.time(),
        "adapters": adapters(),
        "device_less_nic_disabled": bool(registry.value(_HNS_STATE, "DeviceLessNicDisabled")),
        "node": node.present(data_place()),
        "services": {name: control.is_running(name) for name in _SERVICES if control.settings(name) is not None},
    }


def _hns_version() -> str:
    """Such as `13.2`; empty where there is no HNS, or where it does not answer."""
    from ..hcn_library import HcnLibrary  # noqa: PLC0415 - the library need not be there

    try:
        return str(HcnLibrary().version())
    except HnsError:
        return ""


def _pending() -> list[str]:
    reasons = [reason for reason, key in _PENDING.items() if registry.exists(key)]
    if _names_differ():
        reasons.append("the name of the machine was changed")
    return reasons


def _names_differ() -> bool:
    base = r"SYSTEM\CurrentControlSet\Control\ComputerName"
    active = registry.value(rf"{base}\ActiveComputerName", "ComputerName")
    wanted = registry.value(rf"{base}\ComputerName", "ComputerName")
    return bool(active and wanted and str(active).lower() != str(wanted).lower())
