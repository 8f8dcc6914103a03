# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""Keys of the lab: one to log in with, one for each machine, and known_hosts, so that checking stays on."""

from __future__ import annotations

from pathlib import Path

from .machines import MACHINES, Machine
from .processes import run
from .settings import Settings


def ensure(settings: Settings) -> None:
    """Make the keys that are missing, known_hosts and the ssh configuration."""
    folder = settings.state / "ssh"
    folder.mkdir(mode=0o700, exist_ok=True)
    (folder / "control").mkdir(mode=0o700, exist_ok=True)
    _key(folder / "id_ed25519", "ovn-k8s-lab")
    known = []
    machines = [machine for machine in MACHINES if not machine.windows]
    for machine in machines:
        _key(host_key(settings, machine), machine.name)
        public = host_key(settings, machine).with_suffix(".pub").read_text().rsplit(" ", 1)[0]
        known.append(f"{machine.name},{machine.login} {public}\n")
    (folder / "known_hosts").write_text("".join(known))
    config = "".join(
        f"Host {machine.name} {machine.login}\n  HostName {machine.login}\n  HostKeyAlias {machine.name}\n"
        for machine in machines
    )
    config += f"""Host *
  User root
  IdentityFile {folder}/id_ed25519
  IdentitiesOnly yes
  UserKnownHostsFile {folder}/known_hosts
  GlobalKnownHostsFile /dev/null
  StrictHostKeyChecking yes
  LogLevel ERROR
"""
    (folder / "config").write_text(config)


def host_key(settings: Settings, machine: Machine) -> Path:
    """The private key of a machine's ssh server."""
    return settings.state / "ssh" / f"host-{machine.name}"


def _key(path: Path, comment: str) -> None:
    if not path.exists():
        run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", comment, "-f", str(path)])
