# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""An emulated Docker Engine: containers as a model, and the part of its API that a pod network needs, over HTTP.

It listens on loopback; `docker_pipe.py` puts it on the named pipe of a Windows machine. Paths, fields and the stream of
events are those of the Engine API 1.24 (docs.docker.com/reference/api/engine/version/v1.24).
"""

from __future__ import annotations

import http.server
import json
import queue
import threading
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit

API_VERSION = "1.41"
SANDBOX_NAME = "POD"


@dataclass
class Container:
    """One container, as `docker inspect` knows it."""

    name: str
    labels: dict[str, str]
    id: str = field(default_factory=lambda: uuid.uuid4().hex + uuid.uuid4().hex)
    state: str = "created"
    exit_code: int = 0
    created: int = field(default_factory=lambda: int(time.time()))


class Engine:
    """The containers. `started` and `ended` are told the id of a container that begins and ends to run."""

    def __init__(
        self, started: Callable[[str], None] = lambda id_: None, ended: Callable[[str], None] = lambda id_: None
    ) -> None:
        self._started = started
        self._ended = ended
        self._lock = threading.RLock()
        self.containers: dict[str, Container] = {}
        self._listeners: list[tuple[queue.Queue[dict[str, Any] | None], dict[str, list[str]]]] = []
        self.garbage = ""
        """What the next document is answered with instead."""

    def create(self, name: str, labels: Mapping[str, str]) -> str:
        """Create a container; its id."""
        with self._lock:
            container = Container(name, dict(labels))
            self.containers[container.id] = container
            self._tell(container, "create")
        return container.id

    def start(self, id_: str) -> None:
        """Let a container run."""
        with self._lock:
            container = self.containers[id_]
            container.state = "running"
            self._started(id_)
            self._tell(container, "start")

    def die(self, id_: str, exit_code: int = 1) -> None:
        """A container's process ends."""
        with self._lock:
            container = self.containers[id_]
            container.state, container.exit_code = "exited", exit_code
            self._ended(id_)
            self._tell(container, "die")

    def remove(self, id_: str) -> None:
        """Remove a container, as `docker rm -f`."""
        with self._lock:
            if self.containers[id_].state == "running":
                self.die(id_, 137)
            self._tell(self.containers.pop(id_), "destroy")

    def run_pod(self, namespace: str, name: str, uid: str, containers: tuple[str, ...]) -> dict[str, str]:
        """The containers of a pod as a kubelet makes them, the sandbox first; their ids by name."""
        labels = {
            "io.kubernetes.pod.namespace": namespace,
            "io.kubernetes.pod.name": name,
            "io.kubernetes.pod.uid": uid,
        }
        ids: dict[str, str] = {}
        for container in (SANDBOX_NAME, *containers):
            kind = "podsandbox" if container == SANDBOX_NAME else "container"
            more = {"io.kubernetes.container.name": container, "io.kubernetes.docker.type": kind}
            if SANDBOX_NAME in ids:
                more["io.kubernetes.sandbox.id"] = ids[SANDBOX_NAME]
            ids[container] = self.create(f"k8s_{container}_{name}_{namespace}_{uid}_0", labels | more)
            self.start(ids[container])
        return ids

    def listen(self, filters: dict[str, list[str]]) -> queue.Queue[dict[str, Any] | None]:
        """A queue of the events from now on; None in it is the end."""
        events: queue.Queue[dict[str, Any] | None] = queue.Queue()
        with self._lock:
            self._listeners.append((events, filters))
        return events

    def cut(self) -> None:
        """End all streams of events, as an Engine that is restarted."""
        with self._lock:
            for events, _ in self._listeners:
                events.put(None)
            self._listeners.clear()

    def listed(self, query: Mapping[str, list[str]]) -> list[dict[str, Any]]:
        """GET /containers/json."""
        filters = json.loads(query.get("filters", ["{}"])[0])
        everything = query.get("all", ["0"])[0] in ("1", "true", "True")
        with self._lock:
            return [
                {
                    "Id": one.id,
                    "Names": [f"/{one.name}"],
                    "Image": "",
                    "Labels": one.labels,
                    "State": one.state,
                    "Created": one.created,
                    "HostConfig": {"NetworkMode": "none"},
                }
                for one in self.containers.values()
                if (everything or one.state == "running") and _labelled(one.labels, filters.get("label", []))
            ]

    def inspected(self, id_: str) -> dict[str, Any] | None:
        """GET /containers/{id}/json."""
        with self._lock:
            one = self.containers.get(id_)
            if one is None:
                return None
            state = {"Status": one.state, "Running": one.state == "running", "ExitCode": one.exit_code}
            return {"Id": one.id, "Name": f"/{one.name}", "State": state, "Config": {"Labels": one.labels}}

    def _tell(self, container: Container, action: str) -> None:
        now = time.time_ns()
        event = {
            "status": action,
            "id": container.id,
            "Type": "container",
            "Action": action,
            "Actor": {"ID": container.id, "Attributes": {**container.labels, "name": container.name}},
            "scope": "local",
            "time": now // 1_000_000_000,
            "timeNano": now,
        }
        for events, filters in self._listeners:
            if _labelled(container.labels, filters.get("label", [])):
                events.put(event)


class Server(http.server.ThreadingHTTPServer):
    """The Engine's API on a loopback port."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(self, engine: Engine, port: int = 0) -> None:
        self.engine = engine
        super().__init__(("127.0.0.1", port), _Handler)

    @property
    def port(self) -> int:
        return int(self.server_address[1])


class _Handler(http.server.BaseHTTPRequestHandler):
    server: Server
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing is logged."""

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        path = parts.path
        if path.startswith("/v1."):
            path = "/" + path.split("/", 2)[2]
        query = parse_qs(parts.query)
        if path == "/events":
            self._events(json.loads(query.get("filters", ["{}"])[0]))
        elif path == "/containers/json":
            self._document(self.server.engine.listed(query))
        elif path.startswith("/containers/") and path.endswith("/json"):
            found = self.server.engine.inspected(path.split("/")[2])
            self._document(
                found if found else {"message": f"No such container: {path.split('/')[2]}"}, found is not None
            )
        elif path in ("/version", "/info"):
            self._document({"ApiVersion": API_VERSION, "MinAPIVersion": "1.24", "Os": "windows", "OSType": "windows"})
        else:
            self._document({"message": "page not found"}, False)

    def _document(self, document: Any, found: bool = True) -> None:
        garbage, self.server.engine.garbage = self.server.engine.garbage, ""
        body = (garbage or json.dumps(document)).encode()
        self.send_response(200 if found else 404)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(body)
        self.close_connection = True

    def _events(self, filters: dict[str, list[str]]) -> None:
        events = self.server.engine.listen(filters)
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        self.wfile.flush()
        self.close_connection = True
        while (event := events.get()) is not None:
            line = json.dumps(event).encode() + b"\n"
            try:
                self.wfile.write(b"%x\r\n%s\r\n" % (len(line), line))
                self.wfile.flush()
            except OSError:
                return


def _labelled(labels: Mapping[str, str], wanted: list[str]) -> bool:
    for text in wanted:
        key, separator, value = text.partition("=")
        if key not in labels or (separator and labels[key] != value):
            return False
    return True
