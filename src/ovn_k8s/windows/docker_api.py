# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""The part of the Docker Engine API (1.24 and later) that is needed: containers and the stream of events.

HTTP over any stream of bytes: on Windows a named pipe. Each request has a connection of its own.
"""

from __future__ import annotations

import http.client
import io
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol
from urllib.parse import urlencode

VERSION = "v1.24"
LONGEST_LINE = 1 << 20

POD_UID, POD_NAME, POD_NAMESPACE = "io.kubernetes.pod.uid", "io.kubernetes.pod.name", "io.kubernetes.pod.namespace"
KIND_LABEL = "io.kubernetes.docker.type"
SANDBOX = "podsandbox"


class DockerError(Exception):
    """The Engine was not reached, refused, or answered what cannot be read; the message names the request."""


class Stream(Protocol):
    """An open connection, as http.client uses a socket."""

    def sendall(self, data: bytes) -> None: ...
    def makefile(self, mode: str) -> io.BufferedReader: ...
    def close(self) -> None: ...


@dataclass(frozen=True)
class Container:
    """A container that belongs to a pod."""

    id: str
    uid: str
    namespace: str
    pod: str
    sandbox: bool
    running: bool


class Docker:
    """The Engine behind a stream; `connect(patient)` opens one, patient ones may stay silent for ever."""

    def __init__(self, connect: Callable[[bool], Stream]) -> None:
        self._connect = connect

    def containers(self, uid: str = "") -> tuple[Container, ...]:
        """The containers of pods, of all or of one, whatever their state. Raises DockerError."""
        label = f"{POD_UID}={uid}" if uid else POD_UID
        query = urlencode({"all": "1", "filters": json.dumps({"label": [label]})})
        found = self._document(f"/{VERSION}/containers/json?{query}")
        if not isinstance(found, list):
            raise DockerError("the Engine's list of containers is no list")
        return tuple(container for item in found if (container := _container(item)) is not None)

    def events(self) -> Iterator[str]:
        """The uid of the pod of each event of a container, and an empty text at once, when the stream is open.

        Raises DockerError, also when the stream ends.
        """
        query = urlencode({"filters": json.dumps({"type": ["container"], "label": [POD_UID]})})
        connection, response = self._request(f"/{VERSION}/events?{query}", patient=True)
        try:
            yield ""
            while line := response.readline(LONGEST_LINE):
                attributes = (json.loads(line).get("Actor") or {}).get("Attributes") or {}
                if uid := attributes.get(POD_UID):
                    yield str(uid)
        except (OSError, ValueError, AttributeError, http.client.HTTPException) as error:
            raise DockerError(f"the Engine's events cannot be read: {error!r}") from error
        finally:
            response.close()
            connection.close()
        raise DockerError("the Engine has ended the stream of events")

    def _document(self, path: str) -> Any:
        connection, response = self._request(path, patient=False)
        try:
            return json.loads(response.read())
        except (OSError, ValueError, http.client.HTTPException) as error:
            raise DockerError(f"GET {path}: the answer cannot be read: {error}") from error
        finally:
            response.close()
            connection.close()

    def _request(self, path: str, *, patient: bool) -> tuple[http.client.HTTPConnection, http.client.HTTPResponse]:
        connection = _Connection(lambda: self._connect(patient))
        try:
            connection.request("GET", path, headers={"User-Agent": "ovn-k8s"})
            response = connection.getresponse()
            if response.status != 200:
                raise DockerError(f"GET {path} was answered with {response.status}: {_message(response.read())}")
        except (OSError, http.client.HTTPException) as error:
            connection.close()
            raise DockerError(f"GET {path}: the Docker Engine does not answer: {error!r}") from error
        except DockerError:
            connection.close()
            raise
        return connection, response


class _Connection(http.client.HTTPConnection):
    def __init__(self, connect: Callable[[], Stream]) -> None:
        super().__init__("docker")
        self._open = connect

    def connect(self) -> None:
        self.sock: Any = self._open()


def _container(item: Any) -> Container | None:
    """One entry of the list; None for what is no container of a pod."""
    try:
        labels: Mapping[str, str] = item["Labels"] or {}
        uid, namespace, pod = labels[POD_UID], labels[POD_NAMESPACE], labels[POD_NAME]
        sandbox = labels.get(KIND_LABEL) == SANDBOX
        return Container(str(item["Id"]), uid, namespace, pod, sandbox, item.get("State") == "running")
    except (KeyError, TypeError, AttributeError):
        return None


def _message(body: bytes) -> str:
    try:
        return str(json.loads(body)["message"])
    except (ValueError, KeyError, TypeError):
        return body[:200].decode(errors="replace")
