# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""A command on a modelled Windows machine over WinRM, as `winrs` runs it."""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

import winrm

from .credentials import USER


def main() -> int:
    """Run one command; its exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--address", required=True)
    parser.add_argument("--credentials", required=True, type=Path)
    parser.add_argument("words", nargs=argparse.REMAINDER)
    options = parser.parse_args()
    protocol = winrm.protocol.Protocol(
        f"https://{options.address}:5986/wsman",
        transport="ntlm",
        username=USER,
        password=(options.credentials / "password").read_text(),
        ca_trust_path=str(options.credentials / "ca.crt"),
    )
    # One word is a whole line, as it is for ssh.
    line = options.words[0] if len(options.words) == 1 else subprocess.list2cmdline(options.words)
    try:
        shell = protocol.open_shell()
        command = protocol.run_command(shell, line, ())
        stdout, stderr, status = protocol.get_command_output(shell, command)
    except (OSError, winrm.exceptions.WinRMError) as error:
        print(f"{options.address} does not answer: {error}", file=sys.stderr)
        return 255
    sys.stdout.buffer.write(stdout)
    sys.stderr.buffer.write(stderr)
    return int(status)


if __name__ == "__main__":
    sys.exit(main())
