# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""CNI as a runtime calls it on Windows: the configuration in conf_dir, executables in bin_dirs, run by Wine."""

from __future__ import annotations

import json
import ntpath
import tomllib
from dataclasses import dataclass
from typing import Any

from ..computer import Computer
from ..drive import DriveError

RUNTIME = "io.containerd.cri.v1.runtime"
SECONDS = 130.0


class CniFailed(Exception):
    """A plugin failed, or there is none; the message is for the pod's events."""


@dataclass(frozen=True)
class Sandbox:
    """What CNI is told about a pod."""

    id: str
    namespace: str
    name: str
    uid: str
    network: str
    """The HCN namespace; of a sandbox of Docker, the one that it has got with its endpoint."""
    dns: tuple[str, ...] = ()
    searches: tuple[str, ...] = ()
    docker: bool = False

    def environment(self, command: str, folders: list[str]) -> dict[str, str]:
        """The CNI_ variables."""
        arguments = {
            "IgnoreUnknown": "1",
            "K8S_POD_NAMESPACE": self.namespace,
            "K8S_POD_NAME": self.name,
            "K8S_POD_INFRA_CONTAINER_ID": self.id,
            "K8S_POD_UID": self.uid,
        }
        if self.docker:
            # cri-dockerd knows nothing of HCN namespaces, and does not tell the uid.
            del arguments["K8S_POD_UID"]
        return {
            "CNI_COMMAND": command,
            "CNI_CONTAINERID": self.id,
            "CNI_NETNS": "none" if self.docker else self.network,
            "CNI_IFNAME": "eth0",
            "CNI_ARGS": ";".join(f"{name}={value}" for name, value in arguments.items()),
            "CNI_PATH": ";".join(folders),
        }


class Cni:
    """CNI of one computer."""

    def __init__(self, computer: Computer, conf_dir: str, bin_dirs: list[str]) -> None:
        self._computer, self._conf_dir, self._bin_dirs = computer, conf_dir, bin_dirs

    @classmethod
    def of_containerd(cls, computer: Computer, config: str) -> Cni:
        """As a config.toml of containerd says. Raises CniFailed when the file is missing or says nothing of CNI."""
        try:
            plugins = tomllib.loads(computer.drive.read(config).decode())["plugins"]
            cni = plugins[RUNTIME]["cni"]
            return cls(computer, str(cni["conf_dir"]), [str(folder) for folder in cni["bin_dirs"]])
        except (OSError, DriveError, KeyError, tomllib.TOMLDecodeError) as error:
            raise CniFailed(f"{config} does not say where CNI is: {error!r}") from error

    def configuration(self) -> dict[str, Any]:
        """The first conflist of conf_dir. Raises CniFailed: then the node's network is not ready."""
        folder = self._computer.drive.place(self._conf_dir)
        files = sorted(folder.glob("*.conflist")) if folder.is_dir() else []
        if not files:
            raise CniFailed(f"cni plugin not initialized: no network config found in {self._conf_dir}")
        try:
            found: dict[str, Any] = json.loads(files[0].read_text())
        except ValueError as error:
            raise CniFailed(f"{files[0].name} is not JSON: {error}") from error
        return found

    def add(self, sandbox: Sandbox) -> str:
        """Attach a pod; its address."""
        result = self._call("ADD", sandbox)
        addresses = result.get("ips") or []
        if not addresses:
            raise CniFailed(f"ADD gave no address: {json.dumps(result)}")
        return str(addresses[0]["address"]).partition("/")[0]

    def delete(self, sandbox: Sandbox) -> None:
        """Detach a pod; one that is gone already is no error."""
        self._call("DEL", sandbox)

    def _call(self, command: str, sandbox: Sandbox) -> dict[str, Any]:
        configuration = self.configuration()
        result: dict[str, Any] = {}
        plugins = configuration.get("plugins") or []
        for plugin in plugins if command == "ADD" else reversed(plugins):
            request = {**plugin, "cniVersion": configuration["cniVersion"], "name": configuration["name"]}
            if (plugin.get("capabilities") or {}).get("dns"):
                request["runtimeConfig"] = {"dns": {"servers": list(sandbox.dns), "searches": list(sandbox.searches)}}
            if result:
                request["prevResult"] = result
            result = self._run(command, plugin["type"], request, sandbox) or result
        return result

    def _run(self, command: str, kind: str, request: dict[str, Any], sandbox: Sandbox) -> dict[str, Any]:
        drive = self._computer.drive
        places = [ntpath.join(folder, f"{kind.removesuffix('.exe')}.exe") for folder in self._bin_dirs]
        program = next((place for place in places if drive.is_file(place)), None)
        if program is None:
            raise CniFailed(f'failed to find plugin "{kind}" in path {self._bin_dirs}')
        environment = sandbox.environment(command, self._bin_dirs)
        done = self._computer.run(program, stdin=json.dumps(request), seconds=SECONDS, environment=environment)
        try:
            answer: dict[str, Any] = json.loads(done.stdout) if done.stdout.strip() else {}
        except ValueError:
            raise CniFailed(f"{kind} said something else than JSON: {done.stdout[:500]} {done.stderr[:500]}") from None
        if done.returncode:
            details = f"{answer.get('msg', '')} {answer.get('details', '')} {done.stderr[:500]}".strip()
            raise CniFailed(f'plugin type="{kind}" failed ({command.lower()}): {details}')
        return answer
