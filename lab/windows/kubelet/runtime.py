# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""The runtime: pod sandboxes (an HCN namespace and what CNI gives it) and containers (processes in that compartment).

It lives as long as the machine is up: containers go on when containerd or the kubelet is restarted, and are gone after
a restart of the machine. Which sandboxes there were is remembered on disk, so that CNI can be told that they are gone.
"""

from __future__ import annotations

import json
import logging
import shlex
import shutil
import subprocess
import threading
import time
import uuid
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from ...images import IMAGES
from ..computer import Computer
from ..docker_engine import SANDBOX_NAME, Engine, Server
from ..drive import DriveError
from ..hcn_dataplane import Dataplane
from ..hcn_emulator import Emulator
from ..programs import Refused
from .cni import Cni, CniFailed, Sandbox
from .settings import options

LOG = logging.getLogger(__name__)

CRI_DOCKERD = {
    "network-plugin",
    "cni-conf-dir",
    "cni-bin-dir",
    "container-runtime-endpoint",
    "pod-infra-container-image",
    "log-level",
}
"""Options of cri-dockerd that the role may give it (its `config/options.go` and `cmd/server.go` have these)."""
PROGRAM = "netcheck"
"""The one program of the lab's images."""
COMPARTMENT_SECONDS = 20.0
PIPE_SECONDS = 0.5
PIPE_PROGRAM = Path(__file__).resolve().parents[1] / "docker_pipe.py"
BUNDLES = r"C:\Program Files\ovn-k8s"


class RuntimeFailed(Exception):
    """Something cannot be made; the message is for the pod's status."""


@dataclass
class Container:
    """One container and how it is."""

    name: str
    id: str
    process: subprocess.Popen[bytes]
    started: float = field(default_factory=time.time)

    @property
    def exit_code(self) -> int | None:
        """None while it runs."""
        code = self.process.poll()
        return 128 - code if code is not None and code < 0 else code


class Runtime:
    """Sandboxes and containers of one machine."""

    def __init__(self, computer: Computer, emulator: Emulator, dataplane: Dataplane | None, images: Path) -> None:
        self._computer = computer
        self._emulator = emulator
        self._dataplane = dataplane
        self._images = images
        self._file = computer.wine.prefix.parent / "sandboxes.json"
        self._lock = threading.Lock()
        self.lost = [Sandbox(**document) for document in self._stored()]
        """Sandboxes of before the machine's restart, of which CNI has not heard that they are gone."""
        self.sandboxes: dict[str, tuple[Sandbox, str]] = {}
        """Uid of the pod to its sandbox and address."""
        self.containers: dict[tuple[str, str], Container] = {}
        """Uid of the pod and name to the container."""
        self.mounts: dict[str, dict[str, Path]] = {}
        """Uid of the pod to where its containers see its volumes, and where these are."""
        self.logs = computer.wine.prefix.parent / "containers"
        self.cni: Cni | None = None
        """None while containerd, or cri-dockerd, does not run."""
        self.engine: Engine | None = None
        """The Docker Engine, once it has run: its containers outlive it."""
        self.by_docker = False
        """Whether the kubelet speaks to cri-dockerd."""

    def volumes(self, uid: str) -> Path:
        """Where the volumes of a pod are."""
        return self._computer.wine.prefix.parent / "volumes" / uid

    # ---- the service

    def serve(self, words: list[str]) -> Containerd:
        """The work of containerd.exe. Raises Refused."""
        given = options(words[1:])
        try:
            return Containerd(self, Cni.of_containerd(self._computer, given.get("config", "")))
        except CniFailed as error:
            raise Refused(str(error)) from error

    def serve_dockerd(self, words: list[str]) -> Dockerd:
        """The work of dockerd.exe. Raises Refused."""
        given = options(words[1:])
        try:
            settings = json.loads(self._computer.drive.read(given.get("config-file", "")))
        except (OSError, DriveError, ValueError) as error:
            raise Refused(f"dockerd cannot read its settings: {error!r}") from error
        if settings.get("bridge") != "none" or settings.get("hosts") != ["npipe:////./pipe/docker_engine"]:
            raise Refused(f"settings of dockerd that nobody has modelled: {settings}")
        return Dockerd(self, self._computer)

    def serve_cri_dockerd(self, words: list[str]) -> Containerd:
        """The work of cri-dockerd.exe. Raises Refused."""
        given = options(words[1:])
        if unknown := given.keys() - CRI_DOCKERD:
            raise Refused(f"cri-dockerd has no {', '.join(sorted(unknown))}")
        if given.get("network-plugin") != "cni" or "cni-conf-dir" not in given or "cni-bin-dir" not in given:
            raise Refused("cri-dockerd has no network plugin")
        return Containerd(self, Cni(self._computer, given["cni-conf-dir"], [given["cni-bin-dir"]]), by_docker=True)

    def new_engine(self) -> Engine:
        """An Engine that HNS knows."""
        model, lock = self._emulator.model, self._emulator.lock

        def started(id_: str) -> None:
            with lock:
                model.container_started(id_)

        def ended(id_: str) -> None:
            with lock:
                model.container_ended(id_)

        return Engine(started, ended)

    def not_ready(self) -> str:
        """Why the runtime or the network of the node is not ready; empty when both are."""
        if self.cni is None:
            return "container runtime is down"
        try:
            self.cni.configuration()
        except (CniFailed, DriveError) as error:
            return f"container runtime network not ready: {error}"
        return ""

    def stop(self) -> None:
        """The machine goes down."""
        self.cni = self.engine = None
        for container in self.containers.values():
            container.process.kill()
        for container in self.containers.values():
            container.process.wait(10)

    # ---- sandboxes

    def start_sandbox(self, namespace: str, name: str, uid: str, dns: tuple[str, ...], domain: str) -> str:
        """Make a pod's sandbox; its address. Raises CniFailed or RuntimeFailed, and leaves nothing then."""
        cni = self._running()
        searches = (f"{namespace}.svc.{domain}", f"svc.{domain}", domain)
        if not self.by_docker:
            network = self._hcn("HcnCreateNamespace", settings={"Type": "Host"})
            sandbox = Sandbox(uuid.uuid4().hex * 2, namespace, name, uid, network, dns, searches)
        else:
            id_ = self._docker_container(Sandbox("", namespace, name, uid, ""), SANDBOX_NAME)
            sandbox = Sandbox(id_, namespace, name, uid, "", dns, searches, docker=True)
        self._remember(sandbox)
        try:
            address = cni.add(sandbox)
            if sandbox.docker:
                sandbox = replace(sandbox, network=self._docker_compartment(sandbox.id))
            self._until_connected(sandbox.network)
        except (CniFailed, RuntimeFailed):
            self._remove(cni, sandbox)
            raise
        self.sandboxes[uid] = (sandbox, address)
        return address

    def stop_sandbox(self, uid: str) -> None:
        """Take a pod's containers and sandbox away. Raises CniFailed."""
        for key in [key for key in self.containers if key[0] == uid]:
            container = self.containers.pop(key)
            container.process.kill()
            container.process.wait(10)
            self._forget_docker_container(container.id)
        self.mounts.pop(uid, None)
        shutil.rmtree(self.volumes(uid), ignore_errors=True)
        if uid in self.sandboxes:
            sandbox = self.sandboxes[uid][0]
            cni = self._running()
            cni.delete(sandbox)
            self._forget(sandbox)
            del self.sandboxes[uid]

    def tell_of_lost(self) -> None:
        """Tell CNI of the sandboxes that the machine's restart has ended. Raises CniFailed."""
        cni = self._running()
        while self.lost:
            cni.delete(self.lost[0])
            self._remember_all_but(self.lost.pop(0))

    def _remove(self, cni: Cni, sandbox: Sandbox) -> None:
        try:
            cni.delete(sandbox)
        except CniFailed as error:
            LOG.warning("%s", error)
        self._forget(sandbox)

    def _forget(self, sandbox: Sandbox) -> None:
        if sandbox.docker:
            self._forget_docker_container(sandbox.id)
        else:
            self._hcn("HcnDeleteNamespace", sandbox.network)
        self._remember_all_but(sandbox)

    def _running(self) -> Cni:
        if self.cni is None:
            raise CniFailed("container runtime is down")
        return self.cni

    # ---- containers

    def start_container(self, uid: str, spec: dict[str, Any]) -> Container:
        """Start a container in its pod's sandbox. Raises RuntimeFailed."""
        name, _, tag = spec["image"].removeprefix("localhost/").partition(":")
        image = IMAGES.get(name) if tag == "1" and spec["image"].startswith("localhost/") else None
        if image is None:
            raise RuntimeFailed(f"there is no image {spec['image']} on this node, and none can be pulled")
        words = spec.get("command") or image["Entrypoint"]
        words = [*words, *(spec.get("args") or ([] if spec.get("command") else image.get("Cmd", [])))]
        program = self._program(words[0])
        sandbox, _ = self.sandboxes[uid]
        self.logs.mkdir(exist_ok=True)
        # A pod has its own name as hostname.
        named = ["unshare", "--uts", "--", "sh", "-c", 'hostname "$0" && exec "$@"', sandbox.name]
        command = [*self._inside(sandbox.network), *named, *self._mounted(uid), program, *words[1:]]
        environment = {
            "PATH": "/usr/bin:/bin",
            **{item["name"]: item.get("value", "") for item in spec.get("env") or []},
        }
        with (self.logs / f"{sandbox.name}-{spec['name']}.log").open("ab") as log:
            process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment)
        before = self.containers.get((uid, spec["name"]))
        if before is not None:
            self._forget_docker_container(before.id)
        id_ = self._docker_container(sandbox, spec["name"]) if sandbox.docker else uuid.uuid4().hex * 2
        container = Container(spec["name"], id_, process)
        if sandbox.docker:
            threading.Thread(target=self._tell_docker_of_end, args=(container,), daemon=True).start()
        self.containers[uid, spec["name"]] = container
        return container

    def command_inside(self, uid: str, words: list[str]) -> list[str]:
        """The command line that runs one of the image's programs in a pod. Raises RuntimeFailed."""
        if uid not in self.sandboxes or not words:
            raise RuntimeFailed("the pod does not run")
        inside = [*self._inside(self.sandboxes[uid][0].network), *self._mounted(uid)]
        return [*inside, self._program(words[0]), *words[1:]]

    def _mounted(self, uid: str) -> list[str]:
        """What a command line begins with that sees the pod's volumes: mounts of its own, over an empty /run."""
        mounts = self.mounts.get(uid)
        if not mounts:
            return []
        lines = ["mount -t tmpfs tmpfs /run"]
        for inside, here in mounts.items():
            place = shlex.quote(inside)
            lines.append(f"mkdir -p {place} && mount --bind {shlex.quote(str(here))} {place}")
        return ["unshare", "--mount", "--", "sh", "-c", " && ".join(lines) + ' && exec "$0" "$@"']

    # ---- Docker: events of the Engine tell the service what to attach to the pod's endpoint

    def _docker_container(self, sandbox: Sandbox, name: str) -> str:
        """Create a container as cri-dockerd does, and let it run; its id. Raises RuntimeFailed."""
        engine = self._engine()
        labels = {
            "io.kubernetes.pod.namespace": sandbox.namespace,
            "io.kubernetes.pod.name": sandbox.name,
            "io.kubernetes.pod.uid": sandbox.uid,
            "io.kubernetes.container.name": name,
            "io.kubernetes.docker.type": "container" if sandbox.id else "podsandbox",
        }
        if sandbox.id:
            labels["io.kubernetes.sandbox.id"] = sandbox.id
        id_ = engine.create(f"k8s_{name}_{sandbox.name}_{sandbox.namespace}_{sandbox.uid}", labels)
        engine.start(id_)
        return id_

    def _engine(self) -> Engine:
        if self.engine is None:
            raise RuntimeFailed("the Docker Engine is down")
        return self.engine

    def _docker_compartment(self, id_: str) -> str:
        """The HCN namespace in which a container is since it has the pod's endpoint."""
        deadline = time.monotonic() + COMPARTMENT_SECONDS
        while time.monotonic() < deadline:
            with self._emulator.lock:
                for endpoint in self._emulator.model.state.endpoints.values():
                    if id_ in endpoint.get("SharedContainers", ()):
                        return str(endpoint["HostComputeNamespace"]).lower()
            time.sleep(0.1)
        raise RuntimeFailed("nobody has given the sandbox an endpoint")

    def _forget_docker_container(self, id_: str) -> None:
        if self.engine is not None and id_ in self.engine.containers:
            self.engine.remove(id_)

    def _tell_docker_of_end(self, container: Container) -> None:
        code = container.process.wait()
        engine = self.engine
        if engine is not None and container.id in engine.containers:
            engine.die(container.id, code if code >= 0 else 128 - code)

    def _program(self, word: str) -> str:
        if word not in (PROGRAM, f"/bin/{PROGRAM}"):
            raise RuntimeFailed(f"the image has no program {word}")
        return str(self._images / PROGRAM)

    def _inside(self, network: str) -> list[str]:
        if self._dataplane is None:
            raise RuntimeFailed("the stand-in has no network for containers")
        return ["nsenter", f"--net=/run/netns/{self._dataplane.compartment_of(network)}", "--"]

    def _until_connected(self, network: str) -> None:
        """Wait until the compartment has its interface: packets follow the model a moment later."""
        deadline = time.monotonic() + COMPARTMENT_SECONDS
        show = [*self._inside(network), "ip", "-o", "-4", "address", "show", "dev", "eth0"]
        while b"inet" not in subprocess.run(show, capture_output=True, check=False).stdout:
            if time.monotonic() > deadline:
                raise RuntimeFailed("the compartment of the pod has no address")
            time.sleep(0.1)

    # ---- HCN, as hcsshim asks it for containerd

    def _hcn(self, function: str, guid: str = "", settings: dict[str, Any] | None = None) -> str:
        guid = guid or str(uuid.uuid4())
        code, handle, _, record = self._emulator.answer([function, guid, "0", json.dumps(settings or {})])
        if int(code, 16):
            raise RuntimeFailed(f"{function}: {code} {record}")
        if handle != "0":
            self._emulator.answer(["HcnCloseNamespace", "", handle, ""])
        return guid

    # ---- what is remembered

    def _stored(self) -> list[dict[str, Any]]:
        try:
            stored: list[dict[str, Any]] = json.loads(self._file.read_text())
        except OSError:
            return []
        for document in stored:
            document |= {key: tuple(document[key]) for key in ("dns", "searches")}
        return stored

    def _remember(self, sandbox: Sandbox) -> None:
        with self._lock:
            self._file.write_text(json.dumps([*self._stored(), asdict(sandbox)]))

    def _remember_all_but(self, sandbox: Sandbox) -> None:
        with self._lock:
            self._file.write_text(json.dumps([item for item in self._stored() if item["id"] != sandbox.id]))


class Dockerd:
    """The Docker Engine: its API on the named pipe, which the bundle's Python serves under Wine."""

    def __init__(self, runtime: Runtime, computer: Computer) -> None:
        self._runtime = runtime
        self._computer = computer

    def run(self, stop: threading.Event) -> None:
        """Be there. Containers outlive it, as they do not with the real one's default."""
        runtime = self._runtime
        engine = runtime.engine or runtime.new_engine()
        runtime.engine = engine
        with Server(engine) as server:
            threading.Thread(target=server.serve_forever, args=(0.5,), name="docker", daemon=True).start()
            pipe: subprocess.Popen[bytes] | None = None
            try:
                while not stop.wait(PIPE_SECONDS):
                    if pipe is None or pipe.poll() is not None:
                        pipe = self._pipe(server.port)
            finally:
                engine.cut()
                if pipe is not None:
                    pipe.kill()
                    pipe.wait(20)
                server.shutdown()

    def _pipe(self, port: int) -> subprocess.Popen[bytes] | None:
        """None while no bundle with a Python is on the machine."""
        bundles = sorted(self._computer.drive.place(BUNDLES).glob("*/python.exe"))
        if not bundles:
            return None
        python = "C:\\" + str(bundles[-1].relative_to(self._computer.drive.root)).replace("/", "\\")
        # Python for Windows wants pipes: it dies when one of the three is a file.
        pipe = subprocess.PIPE
        return subprocess.Popen(
            ["wine", python, f"Z:{PIPE_PROGRAM}", str(port)],
            env=self._computer.wine.environment,
            stdin=pipe,
            stdout=pipe,
            stderr=subprocess.STDOUT,
        )


class Containerd:
    """The service that the kubelet speaks to, containerd or cri-dockerd: while it runs, there is a runtime."""

    def __init__(self, runtime: Runtime, cni: Cni, *, by_docker: bool = False) -> None:
        self._runtime = runtime
        self._cni = cni
        self._by_docker = by_docker

    def run(self, stop: threading.Event) -> None:
        """Be there."""
        self._runtime.cni, self._runtime.by_docker = self._cni, self._by_docker
        stop.wait()
        self._runtime.cni = None
