# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""A real etcd and kube-apiserver on loopback, for tests and benchmarks. No kubelet: pods are what we say they are."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import secrets
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from ovn_k8s.kubernetes.api import Api
from ovn_k8s.kubernetes.errors import ApiRefused, KubernetesError

RBAC = Path(__file__).resolve().parents[3] / "roles/master/templates/rbac.yml.j2"
"""What the role lets the watcher do; the tests run with no more than this."""


def find_programs() -> Path | None:
    """The folder with kube-apiserver and etcd: $OVN_K8S_KUBE_BIN, or the newest in the lab's cache."""
    cache_home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    cache = Path(os.environ.get("LAB_CACHE") or cache_home / "ovn-k8s-lab")
    named = os.environ.get("OVN_K8S_KUBE_BIN")
    folders = (
        [Path(named)] if named else sorted(cache.glob("binaries-*/content"), key=lambda path: path.stat().st_mtime)
    )
    complete = [path for path in folders if (path / "kube-apiserver").is_file() and (path / "etcd").is_file()]
    return complete[-1] if complete else None


def free_port() -> int:
    """A TCP port of loopback that nobody uses now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class ControlPlane:
    """etcd and API server with two users: `admin`, and `watcher` with what the role grants."""

    def __init__(self, programs: Path, folder: Path) -> None:
        self._programs = programs
        self._folder = folder
        self._etcd_port, self._peer_port, self._port = free_port(), free_port(), free_port()
        self._etcd: subprocess.Popen[bytes] | None = None
        self._server: subprocess.Popen[bytes] | None = None
        self._tokens = {"admin": secrets.token_hex(16), "watcher": secrets.token_hex(16)}
        self.api: Api

    def start(self) -> None:
        """Start both and wait until the API answers."""
        self._folder.mkdir(parents=True, exist_ok=True)
        key = self._folder / "service-account.key"
        public = self._folder / "service-account.pub"
        _run("openssl", "genrsa", "-out", str(key), "2048")
        _run("openssl", "rsa", "-in", str(key), "-pubout", "-out", str(public))
        tokens = self._folder / "tokens.csv"
        tokens.write_text(
            f'{self._tokens["admin"]},admin,admin,"system:masters"\n{self._tokens["watcher"]},ovn-k8s:watcher,watcher\n'
        )
        peer = f"http://127.0.0.1:{self._peer_port}"
        self._etcd = self._spawn(
            "etcd",
            f"--data-dir={self._folder / 'etcd'}",
            f"--listen-client-urls={self._etcd_url}",
            f"--advertise-client-urls={self._etcd_url}",
            f"--listen-peer-urls={peer}",
            f"--initial-advertise-peer-urls={peer}",
            f"--initial-cluster=default={peer}",
            "--unsafe-no-fsync",
        )
        self.start_server()
        self._grant()

    @property
    def _etcd_url(self) -> str:
        return f"http://127.0.0.1:{self._etcd_port}"

    def start_server(self) -> None:
        """Start the API server and wait until it is ready."""
        self._server = self._spawn(
            "kube-apiserver",
            "--bind-address=127.0.0.1",
            f"--secure-port={self._port}",
            "--advertise-address=127.0.0.1",
            "--endpoint-reconciler-type=none",
            f"--etcd-servers={self._etcd_url}",
            "--service-cluster-ip-range=10.96.0.0/16",
            f"--cert-dir={self._folder / 'certificates'}",
            f"--token-auth-file={self._folder / 'tokens.csv'}",
            f"--service-account-key-file={self._folder / 'service-account.pub'}",
            f"--service-account-signing-key-file={self._folder / 'service-account.key'}",
            "--service-account-issuer=https://kubernetes.default.svc",
            "--authorization-mode=RBAC",
            "--disable-admission-plugins=ServiceAccount",
            "--max-requests-inflight=2000",
            "--max-mutating-requests-inflight=2000",
        )
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            if self._server.poll() is not None:
                break
            with contextlib.suppress(KubernetesError, FileNotFoundError):
                self.api = Api.from_kubeconfig(self.kubeconfig("admin"))
                self.api.get("/api/v1/namespaces/default")
                return
            time.sleep(0.1)
        raise RuntimeError(
            "kube-apiserver did not start:\n" + (self._folder / "kube-apiserver.log").read_text()[-2000:]
        )

    def stop_server(self) -> None:
        """Stop the API server."""
        _end(self._server)
        self._server = None

    def stop(self) -> None:
        """Stop everything."""
        self.stop_server()
        _end(self._etcd)
        self._etcd = None

    @property
    def address(self) -> tuple[str, int]:
        """Where the API server listens."""
        return "127.0.0.1", self._port

    def kubeconfig(self, user: str, port: int = 0) -> Path:
        """A kubeconfig file of mode 0600 for a user; `port`: another one of loopback, that leads to the API server."""
        certificate = (self._folder / "certificates" / "apiserver.crt").read_bytes()
        path = self._folder / f"{user}{port or ''}.kubeconfig"
        path.touch(mode=0o600)
        path.write_text(
            json.dumps(
                {
                    "apiVersion": "v1",
                    "kind": "Config",
                    "current-context": "test",
                    "contexts": [{"name": "test", "context": {"cluster": "test", "user": user}}],
                    "clusters": [
                        {
                            "name": "test",
                            "cluster": {
                                "server": f"https://127.0.0.1:{port or self._port}",
                                "certificate-authority-data": base64.b64encode(certificate).decode(),
                            },
                        }
                    ],
                    "users": [{"name": user, "user": {"token": self._tokens[user]}}],
                }
            )
        )
        return path

    def token(self, user: str) -> str:
        """A user's secret, to look for where it must not be."""
        return self._tokens[user]

    def _grant(self) -> None:
        text = "\n".join(line for line in RBAC.read_text().splitlines() if not line.startswith("{#"))
        for document in yaml.safe_load_all(text):
            namespace = document["metadata"].get("namespace")
            scope = f"/namespaces/{namespace}" if namespace else ""
            for last in eventually():  # the API server makes its own namespaces a moment after it is ready
                try:
                    self.api.create(f"/apis/rbac.authorization.k8s.io/v1{scope}/{document['kind'].lower()}s", document)
                    break
                except ApiRefused as error:
                    if error.status != 404 or last:
                        raise

    def _spawn(self, program: str, *arguments: str) -> subprocess.Popen[bytes]:
        with (self._folder / f"{program}.log").open("ab") as output:
            return subprocess.Popen(
                [str(self._programs / program), *arguments],
                stdout=output,
                stderr=output,
                stdin=subprocess.DEVNULL,
                cwd=self._folder,
                env={**os.environ, "GOMEMLIMIT": "1GiB"},
            )


class Objects:
    """Pods, services and endpoint slices of one namespace, made and changed as their owners would."""

    def __init__(self, api: Api, namespace: str) -> None:
        self.api = api
        self.namespace = namespace

    def make_namespace(self) -> None:
        """Create the namespace."""
        self.api.create("/api/v1/namespaces", {"metadata": {"name": self.namespace}})

    def path(self, kind: str, name: str = "") -> str:
        """The path of a collection or of an object in it."""
        groups = {"endpointslices": "discovery.k8s.io", "networkpolicies": "networking.k8s.io"}
        group = f"/apis/{groups[kind]}/v1" if kind in groups else "/api/v1"
        return f"{group}/namespaces/{self.namespace}/{kind}" + (f"/{name}" if name else "")

    def pod(
        self, name: str, node: str = "linux1", annotations: Mapping[str, str] | None = None, **spec: Any
    ) -> dict[str, Any]:
        """Create a pod that is bound to a node already."""
        document = {
            "metadata": {"name": name, "annotations": dict(annotations or {})},
            "spec": {
                "containers": [{"name": "main", "image": "example/none:1"}],
                "terminationGracePeriodSeconds": 0,
                **({"nodeName": node} if node else {}),
                **spec,
            },
        }
        return self.api.create(self.path("pods"), document)

    def get(self, kind: str, name: str) -> dict[str, Any]:
        """Read an object."""
        return self.api.get(self.path(kind, name))

    def set_status(self, name: str, **status: Any) -> None:
        """Report a pod's status, as kubelet does."""
        self.api.merge_patch(f"{self.path('pods', name)}/status", {"status": status})

    def delete(self, kind: str, name: str) -> None:
        """Delete an object at once."""
        self.api.delete(self.path(kind, name), {"gracePeriodSeconds": 0})

    def clear(self) -> None:
        """Delete everything of the namespace."""
        for kind in ("pods", "services", "endpointslices", "networkpolicies"):
            for page in self.api.pages(self.path(kind)):
                for item in page["items"]:
                    with contextlib.suppress(ApiRefused):
                        self.delete(kind, item["metadata"]["name"])

    def service(self, name: str, ports: list[Mapping[str, Any]], **spec: Any) -> str:
        """Create a service and return its cluster address."""
        document = {"metadata": {"name": name}, "spec": {"ports": ports, **spec}}
        address: str = self.api.create(self.path("services"), document)["spec"].get("clusterIP", "")
        return address

    def endpoint_slice(
        self,
        name: str,
        service: str,
        ports: list[Mapping[str, Any]],
        ready: list[str],
        unready: list[str] | None = None,
    ) -> None:
        """Create an endpoint slice of a service."""
        self.api.create(self.path("endpointslices"), slice_document(name, service, ports, ready, unready))


def slice_document(
    name: str, service: str, ports: list[Mapping[str, Any]], ready: list[str], unready: list[str] | None = None
) -> dict[str, Any]:
    """An EndpointSlice."""
    endpoints = [{"addresses": [address], "conditions": {"ready": True}} for address in ready]
    endpoints += [{"addresses": [address], "conditions": {"ready": False}} for address in unready or ()]
    return {
        "metadata": {"name": name, "labels": {"kubernetes.io/service-name": service}},
        "addressType": "IPv4",
        "endpoints": endpoints,
        "ports": ports,
    }


def eventually(seconds: float = 30.0, step: float = 0.02) -> Iterator[bool]:
    """For loops that wait: yields False until time is over, then True once (the last attempt)."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        yield False
        time.sleep(step)
    yield True


def _run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True)


def _end(process: subprocess.Popen[bytes] | None) -> None:
    if process is not None and process.poll() is None:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
