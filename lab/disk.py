# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""The disk of a machine: what it writes lies over the root that all share, and /var is a folder of its own.

/var is no overlay because containerd lays overlays of its own there, which the kernel does not do on another one.
"""

from __future__ import annotations

import shutil
import uuid
from pathlib import Path

from . import keys
from .machines import Machine
from .mounts import mounts_below
from .processes import run
from .settings import LabError, Settings


def ensure(settings: Settings, machine: Machine, root: Path) -> None:
    """Have the machine's root mounted; a new machine's is blank."""
    folder = settings.node(machine.name)
    merged = folder / "root"
    new = not (folder / "complete").exists()
    for part in ("upper", "work", "root"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    if not mounts_below(merged):
        try:
            layers = f"lowerdir={root},upperdir={folder}/upper,workdir={folder}/work"
            run(["mount", "-t", "overlay", f"{settings.name}-{machine.name}", str(merged), "-o", layers])
        except LabError as error:
            raise LabError(
                f"{error}\nLAB_STATE={settings.state} must be on a file system that can carry an overlay (ext4, xfs, "
                "btrfs); an overlay itself, as in a container, cannot"
            ) from error
    if new:
        run(["cp", "-a", "--", root / "var", f"{folder}/var.new"])
        Path(f"{folder}/var.new").rename(folder / "var")
        _identify(settings, machine, merged)
        (folder / "complete").touch()


_BY_DHCP = """\
[Match]
Name=ext0

[Network]
DHCP=ipv4
LinkLocalAddressing=no
IPv6AcceptRA=no
"""


def _identify(settings: Settings, machine: Machine, root: Path) -> None:
    """Give a blank machine its name and its keys."""
    (root / "etc/hostname").write_text(f"{machine.name}\n")
    (root / "etc/hosts").write_text(f"127.0.0.1\tlocalhost\n127.0.1.1\t{machine.name}\n::1\tlocalhost\n")
    (root / "etc/machine-id").write_text(f"{uuid.uuid4().hex}\n")
    private = keys.host_key(settings, machine)
    for source, name in ((private, "ssh_host_ed25519_key"), (private.with_suffix(".pub"), "ssh_host_ed25519_key.pub")):
        shutil.copy(source, root / "etc/ssh" / name)
    (root / "etc/ssh/ssh_host_ed25519_key").chmod(0o600)
    authorized = root / "root/.ssh/authorized_keys"
    shutil.copy(settings.state / "ssh/id_ed25519.pub", authorized)
    authorized.chmod(0o600)
    if machine.internet:
        _use_networkd(root)


def _use_networkd(root: Path) -> None:
    """Have systemd-networkd configure ext0, and nothing else, as on a cloud's machine."""
    (root / "etc/systemd/network/20-ext0.network").write_text(_BY_DHCP)
    units = root / "etc/systemd/system"
    for link, unit in (
        ("multi-user.target.wants/systemd-networkd.service", "systemd-networkd.service"),
        ("sockets.target.wants/systemd-networkd.socket", "systemd-networkd.socket"),
        ("dbus-org.freedesktop.network1.service", "systemd-networkd.service"),
    ):
        (units / link).parent.mkdir(exist_ok=True)
        (units / link).symlink_to(f"/usr/lib/systemd/system/{unit}")
