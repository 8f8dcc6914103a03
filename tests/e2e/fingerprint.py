# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""What there is on a machine, as JSON: run on a node before site.yml and after reset.yml to compare the two.

Stand-alone: it is sent to `python3 -` over ssh.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
from pathlib import Path

TREES = ("/etc", "/opt", "/usr/local", "/var/spool", "/root")
SHALLOW = ("/var/lib", "/var/log", "/run", "/sys/fs/cgroup/memory", "/usr/lib/systemd/system", "/lib/modules-load.d")
VOLATILE = {
    "/etc/ld.so.cache",  # rebuilt by every package run
    "/etc/.pwd.lock",
    "/etc/passwd-",  # the backups that the last change of a user made
    "/etc/group-",
    "/etc/shadow-",
    "/etc/gshadow-",
    "/etc/subuid-",
    "/etc/subgid-",
    "/root/.ansible",  # Ansible's own temporary folder
    "/run/adduser",  # where Debian's adduser keeps its lock from its first use to the next boot
}


def run(*command: str) -> str:
    return subprocess.run(command, check=False, capture_output=True, text=True).stdout


def described(path: Path) -> str:
    status = path.lstat()
    kind = f"{status.st_mode:o} {status.st_uid}:{status.st_gid}"
    if path.is_symlink():
        return f"{kind} -> {path.readlink()}"
    if path.is_file():
        return f"{kind} {hashlib.sha256(path.read_bytes()).hexdigest()[:16]}"
    return kind


def tree(root: str) -> dict[str, str]:
    found = {}
    for folder, folders, files in os.walk(root):
        folders[:] = [name for name in folders if f"{folder}/{name}" not in VOLATILE]
        for name in (*folders, *files):
            path = Path(folder, name)
            if str(path) not in VOLATILE and "__pycache__" not in path.parts:
                found[str(path)] = described(path)
    return found


def links() -> dict[str, object]:
    found = {}
    for link in json.loads(run("ip", "-j", "address") or "[]"):
        addresses = sorted(f"{a['local']}/{a['prefixlen']}" for a in link["addr_info"] if a["scope"] != "link")
        found[link["ifname"]] = {"mtu": link["mtu"], "mac": link.get("address"), "addresses": addresses}
    return found


def routes() -> list[str]:
    return sorted(
        " ".join(f"{key}={route[key]}" for key in ("dst", "gateway", "dev", "prefsrc", "metric") if key in route)
        for route in json.loads(run("ip", "-j", "route", "show", "table", "all") or "[]")
        if route.get("type") != "multicast" and not str(route.get("dst", "")).startswith(("ff", "fe80"))
    )


def mounts() -> list[str]:
    return sorted(line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines())


def daemons() -> list[str]:
    # The one that networkd asks for the machine's name comes and goes by itself.
    own = {"sshd", "sshd-session", "sshd-auth", "python3", "ps", "sh", "bash", "(sd-pam)", "agetty", "systemd-hostnam"}
    return sorted({name for name in run("ps", "-e", "-o", "comm=").split("\n") if name.strip() and name not in own})


print(
    json.dumps(
        {
            "packages": sorted(run("dpkg-query", "-W", "-f", "${Package} ${db:Status-Status}\n").splitlines()),
            "files": {path: what for root in TREES for path, what in tree(root).items()},
            "folders": {
                root: sorted(path.name for path in Path(root).iterdir() if str(path) not in VOLATILE)
                for root in SHALLOW
                if Path(root).is_dir()
            },
            "units": sorted(
                " ".join(line.split()[:2])
                for line in run("systemctl", "list-unit-files", "--no-legend", "--plain").splitlines()
                if "session" not in line
            ),
            "links": links(),
            "routes": routes(),
            "rules": run("ip", "rule").splitlines(),
            "mounts": mounts(),
            "daemons": daemons(),
        }
    )
)
