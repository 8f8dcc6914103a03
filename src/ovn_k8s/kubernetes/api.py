# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""Requests to the API server, answered as plain JSON documents.

The `kubernetes` library reads the kubeconfig and does TLS and authentication. Its typed models are left aside: they are
slow to build and large to keep, and their calls differ between the versions of the library.
"""

from __future__ import annotations

import contextlib
import json
import socket
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import urllib3
from kubernetes import config
from urllib3.exceptions import HTTPError

from .errors import ApiRefused, ApiUnreachable, ConfigurationError, Expired

Document = dict[str, Any]

CONNECT_TIMEOUT_S = 5.0
READ_TIMEOUT_S = 30.0
CONNECTIONS = 16
"""Connections that are kept open: one per watch and one per thread that writes."""

# A peer that vanished is noticed after 10 s of silence and 3 unanswered probes, 5 s apart.
_KEEPALIVE = (
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
    (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 10),
    (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 5),
    (socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 3),
    (socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, 25_000),
    (socket.IPPROTO_TCP, socket.TCP_NODELAY, 1),
)


class Stream:
    """The events of one watch, as they arrive. `close` may be called from another thread and ends the iteration."""

    def __init__(self, response: Any, server: str) -> None:
        self._response = response
        self._server = server
        self._closed = False

    def __iter__(self) -> Iterator[Document]:
        rest = b""
        try:
            for chunk in self._response.stream(1 << 16, decode_content=False):
                lines = (rest + chunk).split(b"\n")
                rest = lines.pop()
                for line in lines:
                    if line:
                        yield json.loads(line)
        except (HTTPError, OSError, ValueError) as error:
            if not self._closed:
                raise ApiUnreachable(f"{self._server}: the watch broke: {_cause(error)}") from None
        finally:
            self.close()

    def close(self) -> None:
        """End the watch. The connection is not used again."""
        self._closed = True
        connection = getattr(self._response, "connection", None) or getattr(self._response, "_connection", None)
        sock = getattr(connection, "sock", None)
        if sock is not None:
            with contextlib.suppress(OSError):
                socket.socket.shutdown(sock, socket.SHUT_RDWR)  # wakes up a thread that reads; leaves TLS alone
        with contextlib.suppress(Exception):
            self._response.close()


class Api:
    """A connection pool to one API server. Any thread may use it."""

    def __init__(self, pool: Any, server: str, configuration: Any = None) -> None:
        """`pool` is an urllib3 PoolManager, `configuration` the library's, asked for the authorization header."""
        self._pool = pool
        self._configuration = configuration
        self.server = server.rstrip("/")

    @classmethod
    def from_kubeconfig(cls, path: str | Path) -> Api:
        """Use a kubeconfig file. Raises ConfigurationError."""
        try:
            client: Any = config.new_client_from_config(str(path), persist_config=False)  # type: ignore[no-untyped-call]
        except (config.ConfigException, OSError) as error:
            raise ConfigurationError(f"kubeconfig {path}: {_cause(error)}") from None
        except Exception as error:  # a parser's message could quote the file, and the file holds secrets
            raise ConfigurationError(f"kubeconfig {path} cannot be read ({type(error).__name__})") from None
        pool = client.rest_client.pool_manager
        pool.connection_pool_kw.update(maxsize=CONNECTIONS, socket_options=list(_KEEPALIVE))
        return cls(pool, client.configuration.host, client.configuration)

    def get(self, path: str, query: Mapping[str, Any] | None = None, timeout: float = READ_TIMEOUT_S) -> Document:
        """GET one document. Raises ApiUnreachable, ApiRefused."""
        return self._document("GET", path, query, timeout=timeout)

    def merge_patch(self, path: str, patch: Mapping[str, Any], timeout: float = READ_TIMEOUT_S) -> Document:
        """Apply a JSON merge patch (RFC 7396). Raises ApiUnreachable, ApiRefused."""
        return self._document("PATCH", path, None, patch, "application/merge-patch+json", timeout)

    def create(self, path: str, document: Mapping[str, Any], timeout: float = READ_TIMEOUT_S) -> Document:
        """POST a new object to its collection. Raises ApiUnreachable, ApiRefused."""
        return self._document("POST", path, None, document, "application/json", timeout)

    def replace(self, path: str, document: Mapping[str, Any], timeout: float = READ_TIMEOUT_S) -> Document:
        """PUT an object. Raises ApiUnreachable, ApiRefused (409 when its resourceVersion is not the latest)."""
        return self._document("PUT", path, None, document, "application/json", timeout)

    def delete(self, path: str, options: Mapping[str, Any] | None = None, timeout: float = READ_TIMEOUT_S) -> Document:
        """DELETE an object; `options` is a DeleteOptions document. Raises ApiUnreachable, ApiRefused."""
        return self._document("DELETE", path, None, options, "application/json", timeout)

    def pages(self, path: str, limit: int = 500) -> Iterator[Document]:
        """List a collection page by page, all of one moment. Raises ApiUnreachable, ApiRefused."""
        query: dict[str, Any] = {"limit": limit}
        while True:
            page = self.get(path, query)
            yield page
            more = (page.get("metadata") or {}).get("continue")
            if not more:
                return
            query["continue"] = more

    def watch(self, path: str, resource_version: str, timeout_s: int, silence_s: float) -> Stream:
        """Watch a collection from a resource version, bookmarks included.

        The server ends the watch after `timeout_s`; one that says nothing for `silence_s` is taken for dead.
        Raises ApiUnreachable, ApiRefused.
        """
        query = {
            "watch": "true",
            "allowWatchBookmarks": "true",
            "resourceVersion": resource_version,
            "timeoutSeconds": timeout_s,
        }
        return Stream(self._open("GET", path, query, timeout=silence_s), self.server)

    def _document(
        self,
        method: str,
        path: str,
        query: Mapping[str, Any] | None,
        body: Mapping[str, Any] | None = None,
        content_type: str = "",
        timeout: float = READ_TIMEOUT_S,
    ) -> Document:
        response = self._open(method, path, query, body, content_type, timeout)
        try:
            document: Document = json.loads(self._read(response))
            return document
        except ValueError as error:
            raise ApiUnreachable(f"{self.server}: {method} {path}: the answer is no JSON: {error}") from None

    def _open(
        self,
        method: str,
        path: str,
        query: Mapping[str, Any] | None = None,
        body: Mapping[str, Any] | None = None,
        content_type: str = "",
        timeout: float = READ_TIMEOUT_S,
    ) -> Any:
        headers = {"Accept": "application/json", "User-Agent": "ovn-k8s", **self._authorization()}
        if body is not None:
            headers["Content-Type"] = content_type
        url = f"{self.server}{path}?{urlencode(query)}" if query else f"{self.server}{path}"
        try:
            response = self._pool.request(
                method,
                url,
                body=None if body is None else json.dumps(body).encode(),
                headers=headers,
                timeout=urllib3.Timeout(connect=min(CONNECT_TIMEOUT_S, timeout), read=timeout),
                retries=False,
                preload_content=False,
            )
        except (HTTPError, OSError) as error:
            raise ApiUnreachable(f"{self.server}: {method} {path}: {_cause(error)}") from None
        if response.status >= 300:
            raise _refused(response.status, response.headers, self._read(response))
        return response

    def _read(self, response: Any) -> bytes:
        try:
            return bytes(response.data)  # reads all and gives the connection back
        except (HTTPError, OSError) as error:
            raise ApiUnreachable(f"{self.server}: the answer broke off: {_cause(error)}") from None

    def _authorization(self) -> dict[str, str]:
        if self._configuration is None:
            return {}
        return {
            setting["key"]: setting["value"]
            for setting in self._configuration.auth_settings().values()
            if setting["in"] == "header" and setting["value"]
        }


def _refused(status: int, headers: Mapping[str, str], body: bytes) -> ApiRefused:
    """An error from a Status document (or from whatever a proxy in between has said)."""
    try:
        document = json.loads(body)
        reason, message = str(document.get("reason", "")), str(document.get("message", ""))
    except (ValueError, AttributeError):
        reason, message = "", body[:200].decode(errors="replace").strip()
    try:
        retry_after = float(headers["Retry-After"])
    except (KeyError, ValueError, TypeError):
        retry_after = None
    return (Expired if status == 410 else ApiRefused)(status, reason, message, retry_after)


def _cause(error: BaseException) -> str:
    """The innermost reason, without the pools and retries around it."""
    inner = getattr(error, "reason", None)
    if isinstance(inner, BaseException):
        return _cause(inner)
    text = str(error) or type(error).__name__
    return text.rsplit(">: ", 1)[-1]
