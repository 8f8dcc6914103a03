# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""What this machine is: read only, for the preflight."""

from __future__ import annotations

import os
import socket
import time
import winreg
from contextlib import suppress
from typing import Any

from ovn_k8s.core.hns.errors import HnsError

from .adapters import adapters
from .service_control import ServiceControl

_VERSION = r"SOFTWARE\Microsoft\Windows NT\CurrentVersion"
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
        "product": str(_value(_VERSION, "ProductName") or ""),
        "build": int(_value(_VERSION, "CurrentBuildNumber") or 0),
        "revision": int(_value(_VERSION, "UBR") or 0),
        "installation_type": str(_value(_VERSION, "InstallationType") or ""),
        "hns_version": _hns_version(),
        "pending_reboot": _pending(),
        "time": time.time(),
        "adapters": adapters(),
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
    reasons = [reason for reason, key in _PENDING.items() if _exists(key)]
    if _names_differ():
        reasons.append("the name of the machine was changed")
    return reasons


def _names_differ() -> bool:
    base = r"SYSTEM\CurrentControlSet\Control\ComputerName"
    active = _value(rf"{base}\ActiveComputerName", "ComputerName")
    wanted = _value(rf"{base}\ComputerName", "ComputerName")
    return bool(active and wanted and str(active).lower() != str(wanted).lower())


def _exists(key: str) -> bool:
    with suppress(OSError), winreg.OpenKey(winreg.HKEY_LOCAL_MACHINE, key):
        return True
    return False


def _value(key: str, name: str) -> Any:
    with suppress(OSError), winreg.OpenKey(winreg.HKEY_LOCAL_MACHINE, key) as handle:
        return winreg.QueryValueEx(handle, name)[0]
    return None
