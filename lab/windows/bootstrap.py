# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""What ansible-core 2.19 sends to Windows: its PowerShell bootstrap with a manifest on stdin, or a short script.

The bootstrap is recognised by comparison with the file of the ansible-core that is installed. It carries actions, the
outermost first; the last is the work: a module, a script, a file to put or to fetch.
"""

from __future__ import annotations

import base64
import hashlib
import json
import logging
import re
from pathlib import Path
from typing import Any

import ansible.executor.powershell

from . import scripts
from .computer import HOME, Computer
from .drive import DriveError
from .modules import run_module
from .programs import split
from .winrm.shells import Command

LOG = logging.getLogger(__name__)

SEPARATOR = b"\n\0\0\0\0\n"
ENCODED = re.compile(r"^powershell(?:\.exe)?\s.*-EncodedCommand\s+(\S+)\s*$", re.IGNORECASE | re.DOTALL)
EXIT_CODE_TAIL = re.compile(r"(\s*;)?\s*If \(-not \$\?\) \{ If \(Get-Variable LASTEXITCODE.*$", re.DOTALL)
RESTART = re.compile(r"^shutdown(?:\.exe)? /r /t (\d+)$", re.IGNORECASE)
STRICT_HEAD = re.compile(r"^Set-StrictMode -Version Latest\s*")
UNKNOWN_ACTION, UNKNOWN_SCRIPT = 251, 252


def _bare(script: str) -> str:
    return "\n".join(line.strip() for line in script.splitlines() if line.strip())


_FOLDER = Path(next(iter(ansible.executor.powershell.__path__)))
BOOTSTRAP = _bare((_FOLDER / "bootstrap_wrapper.ps1").read_text())


class Runner:
    """Carries out the commands of remote shells on a computer."""

    def __init__(self, computer: Computer) -> None:
        self._computer = computer

    def __call__(self, command: Command) -> int:
        """Run one command; its exit code."""
        encoded = ENCODED.match(command.line)
        if encoded is None:
            if restart := RESTART.match(command.line):
                self._computer.restart_in(float(restart[1]))
                return 0
            done = self._computer.run(*split(command.line))
            command.say(done.stdout)
            command.say(done.stderr, "stderr")
            return done.returncode
        script = base64.b64decode(encoded[1]).decode("utf-16-le")
        body = EXIT_CODE_TAIL.sub("", STRICT_HEAD.sub("", script))
        if _bare(body) == BOOTSTRAP:
            return self._manifest(command)
        return self._script(command, body)

    def _manifest(self, command: Command) -> int:
        _, manifest_text, *rest = bytes(command.stdin).split(SEPARATOR, 2)
        manifest = json.loads(manifest_text)
        for action in manifest["actions"]:
            parameters = action["params"]
            match action["name"]:
                case "become_wrapper.ps1":
                    # Accounts are not modelled: whoever is asked for may do everything.
                    continue
                case "module_wrapper.ps1":
                    return self._work(command, manifest["scripts"], parameters)
                case name:
                    return self._file(command, name, parameters, rest[0] if rest else b"")
        command.say("STAND-IN: a manifest without work", "stderr")
        return UNKNOWN_ACTION

    def _work(self, command: Command, texts: dict[str, Any], parameters: dict[str, Any]) -> int:
        text = texts[parameters["Script"]]
        source = base64.b64decode(text["script"]).decode("utf-8-sig")
        if not parameters.get("ForModule"):
            return self._script(command, source)
        arguments = {item["Name"]: item["Value"] for item in parameters["Variables"]}["complex_args"]
        environment = {name: str(value) for name, value in (parameters.get("Environment") or {}).items()}
        result = run_module(self._computer, text["path"], source, arguments, environment)
        command.say(json.dumps(result))
        return int(bool(result.get("failed")))

    def _file(self, command: Command, name: str, parameters: dict[str, Any], rest: bytes) -> int:
        drive = self._computer.drive
        try:
            match name:
                case "powershell_mkdtemp.ps1":
                    command.say(drive.make_folder(f"{parameters['Directory']}\\{parameters['Name']}") + "\r\n")
                case "powershell_expand_user.ps1":
                    command.say(re.sub(r"^~(?=$|\\)", lambda _: HOME, parameters["Path"]) + "\r\n")
                case "winrm_put_file.ps1":
                    content = b"".join(base64.b64decode(line) for line in rest.split())
                    drive.write(parameters["Path"], content)
                    command.say(json.dumps({"sha1": hashlib.sha1(content, usedforsecurity=False).hexdigest()}))
                case "winrm_fetch_file.ps1":
                    return self._fetch(command, parameters)
                case _:
                    command.say(f"STAND-IN: unknown action {name} in the manifest", "stderr")
                    return UNKNOWN_ACTION
        except DriveError as error:
            command.say(f"{error}\r\n", "stderr")
            return 1
        return 0

    def _fetch(self, command: Command, parameters: dict[str, Any]) -> int:
        drive, path = self._computer.drive, parameters["Path"]
        if drive.is_folder(path):
            command.say("[DIR]\r\n")
        elif drive.is_file(path):
            first = parameters["Offset"]
            part = drive.read(path)[first : first + parameters["BufferSize"]]
            command.say(base64.b64encode(part) + b"\r\n")
        else:
            command.say(f"{path} does not exist\r\n", "stderr")
            return 1
        return 0

    def _script(self, command: Command, body: str) -> int:
        outcome = scripts.run(self._computer, body.strip())
        if outcome is None:
            LOG.error("unknown script: %s", body.strip())
            command.say(f"STAND-IN: there is no PowerShell here, and nobody has taught this script:\n{body}", "stderr")
            return UNKNOWN_SCRIPT
        command.say(outcome.stdout)
        command.say(outcome.stderr, "stderr")
        return outcome.status
