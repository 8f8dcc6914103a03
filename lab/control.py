# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""The control machine: the namespace from which ansible, ssh and kubectl reach the machines."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from . import cgroups, network, processes
from .machines import CONTROL, INTERNET, INTERNET_PORT, LEASE_S, LEASED, MACHINES, PACKAGE_PORT, Machine
from .settings import TREE, LabError, Settings


def environment(settings: Settings) -> dict[str, str]:
    """What programs in the control namespace are told besides what the caller's environment says."""
    tree = TREE.parent
    path = [str(settings.state / "binaries"), os.environ.get("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")]
    if tools().is_dir():
        path.insert(0, f"{tools()}/bin")
    return {
        **os.environ,
        "PATH": ":".join(path),
        "LAB_NAME": settings.name,
        "LAB_STATE": str(settings.state),
        "KUBECONFIG": str(settings.state / "pki/admin.kubeconfig"),
        "ANSIBLE_INVENTORY": os.environ.get("ANSIBLE_INVENTORY", str(tree / "inventories/lab")),
        "ANSIBLE_CONFIG": str(tree / "ansible.cfg"),
        "ANSIBLE_COLLECTIONS_PATH": str(_collections(tree)),
        "ANSIBLE_SSH_CONTROL_PATH_DIR": str(settings.state / "ssh/control"),
    }


def tools() -> Path:
    """The virtual environment with ansible."""
    own = sys.prefix if sys.prefix != sys.base_prefix else TREE.parent / ".venv"
    return Path(os.environ.get("VENV") or own)


def _collections(tree: Path) -> Path:
    """A folder in which ansible finds this tree as an installed collection."""
    folder = tree / ".build"
    collection = folder / "ansible_collections/ovn_k8s/cluster"
    collection.parent.mkdir(parents=True, exist_ok=True)
    if not collection.is_symlink():
        collection.unlink(missing_ok=True)
        collection.symlink_to("../../..")
    return folder


def replace(settings: Settings, command: Sequence[str]) -> None:
    """Become a program in the control namespace. Raises LabError when there is no lab."""
    if settings.namespace("ctl") not in network.namespaces(settings):
        raise LabError("the lab is not up: make lab-up")
    words = processes.in_namespace(settings, "ctl", command)
    os.execvpe(words[0], words, environment(settings))


def ssh(settings: Settings, machine: Machine, *command: str) -> list[str]:
    """The command line that runs a command on a machine, or opens a shell there."""
    return ["ssh", "-F", str(settings.state / "ssh/config"), machine.name, *command]


def answer(
    settings: Settings, machine: Machine, *command: str, seconds: float = 10
) -> subprocess.CompletedProcess[str]:
    """Run a command on a machine and return what came of it; a machine that does not answer is status 255."""
    words = processes.in_namespace(settings, "ctl", ssh(settings, machine, *command))
    try:
        return subprocess.run(
            words, check=False, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=seconds
        )
    except subprocess.TimeoutExpired:
        return subprocess.CompletedProcess(words, 255, "", f"no answer within {seconds:g} s")


def ensure_programs(settings: Settings) -> None:
    """Have the package server, the internet's server and its DHCP server running."""
    packages: list[str | Path] = [sys.executable, "-m", "http.server", "--protocol", "HTTP/1.1"]
    packages += ["--bind", CONTROL, "--directory", settings.state / "packages", str(PACKAGE_PORT)]
    _ensure_program(settings, "packages", "ctl", packages)
    internet: list[str | Path] = [settings.state / "images/netcheck", "serve", "--hostname", "internet"]
    internet += ["--port", str(INTERNET_PORT)]
    _ensure_program(settings, "internet", "internet", internet)
    _ensure_program(settings, "dhcp", "internet", _dhcp(settings))


def _dhcp(settings: Settings) -> list[str | Path]:
    """A server that leases each gateway an address by its MAC. They are in state/dhcp/hosts, more options in options
    beside it; both are read again at SIGHUP."""
    folder = settings.state / "dhcp"
    folder.mkdir(exist_ok=True)
    hosts = folder / "hosts"
    if not hosts.exists():
        hosts.write_text("".join(f"{m.mac(2)},{m.login},{m.name}\n" for m in MACHINES if m.internet))
    options = folder / "options"
    options.touch()
    router = INTERNET[0].partition("/")[0]
    command: list[str | Path] = ["dnsmasq", "--keep-in-foreground", "--conf-file=/dev/null", "--port=0", "--no-ping"]
    command += ["--interface=lan", "--bind-dynamic", "--user=root", "--pid-file", "--log-facility=-", "--log-dhcp"]
    command += [f"--dhcp-range={LEASED.partition('/')[0]},static,{LEASE_S}", f"--dhcp-option=option:router,{router}"]
    command += [f"--dhcp-hostsfile={hosts}", f"--dhcp-optsfile={options}"]
    return [*command, f"--dhcp-leasefile={folder}/leases"]


def _ensure_program(settings: Settings, name: str, part: str, command: Sequence[str | Path]) -> None:
    pid_file = settings.state / "run" / f"{name}.pid"
    pid_file.parent.mkdir(exist_ok=True)
    try:
        line = Path(f"/proc/{pid_file.read_text().strip()}/cmdline").read_bytes()
        if line == b"".join(str(word).encode() + b"\0" for word in command):
            return
    except OSError:
        pass  # not started yet, or gone
    groups = cgroups.make(settings, "programs")
    words = processes.enter(groups, processes.in_namespace(settings, part, command))
    pid = processes.start(words, settings.state / "log" / f"{name}.log")
    pid_file.write_text(f"{pid}\n")
