# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""computenetwork.dll and vmcompute.dll through ctypes. Windows only; everything above it is plain data.

Signatures are those of computenetwork.h of the Windows SDK. Strings that a call returns belong to the caller and are
freed with CoTaskMemFree, error records too, whatever the call ended with; handles are closed on every path.
"""

from __future__ import annotations

import ctypes
import json
import sys
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from ovn_k8s.core.hns import hcn, v1
from ovn_k8s.core.hns.errors import InvalidObject
from ovn_k8s.core.hns.versions import Version, parse_version

from .hcn_errors import HcnCallError, HcnUnavailable
from .kinds import Kind

SYSTEM32_ONLY = 0x00000800
"""LOAD_LIBRARY_SEARCH_SYSTEM32: no library of the same name from elsewhere."""

_NO_LIBRARY = (
    "{name} cannot be loaded ({error}): this Windows has no Host Compute Network interface; it needs Windows "
    "Server 2019 or later with the feature Containers, and a restart after it was installed"
)


class Guid(ctypes.Structure):
    """GUID of guiddef.h."""

    _fields_ = [
        ("Data1", ctypes.c_uint32),
        ("Data2", ctypes.c_uint16),
        ("Data3", ctypes.c_uint16),
        ("Data4", ctypes.c_ubyte * 8),
    ]

    @classmethod
    def of(cls, text: str) -> Guid:
        """Raises InvalidObject."""
        try:
            return cls.from_buffer_copy(uuid.UUID(text).bytes_le)
        except ValueError:
            raise InvalidObject(f"{text!r} is not a GUID") from None


_POINTER = ctypes.c_void_p
_OUT = ctypes.POINTER(ctypes.c_void_p)
_TEXT = ctypes.c_wchar_p
_GUID = ctypes.POINTER(Guid)

_SIGNATURES: dict[str, tuple[Any, ...]] = {
    "HcnEnumerate{}s": (_TEXT, _OUT, _OUT),
    "HcnCreate{}": (_GUID, _TEXT, _OUT, _OUT),
    "HcnOpen{}": (_GUID, _OUT, _OUT),
    "HcnModify{}": (_POINTER, _TEXT, _OUT),
    "HcnQuery{}Properties": (_POINTER, _TEXT, _OUT, _OUT),
    "HcnDelete{}": (_GUID, _OUT),
    "HcnClose{}": (_POINTER,),
}


_COMPUTE_SIGNATURES: dict[str, tuple[Any, ...]] = {
    "HNSCall": (_TEXT, _TEXT, _TEXT, _OUT),
    "HcsOpenComputeSystem": (_TEXT, _OUT, _OUT),
    "HcsModifyComputeSystem": (_POINTER, _TEXT, _OUT),
    "HcsCloseComputeSystem": (_POINTER,),
}
"""vmcompute.dll, as hcsshim's internal/vmcompute declares it."""


class HcnLibrary:
    """The Host Compute Network interface of this machine."""

    def __init__(self) -> None:
        """Raises HcnUnavailable."""
        self._network = _load("computenetwork.dll")
        self._compute: Any = None
        self._free = _bind(_load("ole32.dll"), "CoTaskMemFree", (_POINTER,), None)
        self._functions: dict[str, Callable[..., int]] = {}

    def version(self) -> Version:
        """The version of HNS."""
        return parse_version(self.hns_call("GET", "/globals/version"))

    def ids(self, kind: Kind) -> list[str]:
        """The ids of all objects of a kind."""
        found = self._strings(kind, "HcnEnumerate{}s", json.dumps(hcn.query()))
        listed = _parsed(found, f"HcnEnumerate{kind}s")
        if not isinstance(listed, list):
            raise InvalidObject(f"HcnEnumerate{kind}s gave no list but {found[:200]!r}")
        return [str(item).strip("{}").lower() for item in listed]

    def read(self, kind: Kind, id_: str) -> Any:
        """The document of one object. Raises HcnCallError; `is_not_found` tells that it is gone."""
        with self._opened(kind, id_) as handle:
            return self._query(kind, handle, id_)

    def create(self, kind: Kind, document: hcn.Document, network_id: str = "") -> Any:
        """Create an object; its document as HNS completed it. An endpoint is created on `network_id`."""
        about = str(document.get("Name") or "")
        # With an id of zeros HNS takes the one in the settings or makes one.
        guid = Guid.of(str(document.get("ID") or uuid.UUID(int=0)))
        settings = json.dumps(document)
        if kind is not Kind.ENDPOINT:
            return self._created(kind, about, ctypes.byref(guid), settings)
        with self._opened(Kind.NETWORK, network_id) as network:
            return self._created(kind, about, network, ctypes.byref(guid), settings)

    def modify(self, kind: Kind, id_: str, request: hcn.Document) -> None:
        """Change an object by one request document."""
        with self._opened(kind, id_) as handle:
            self._call(kind, "HcnModify{}", id_, handle, json.dumps(request))

    def delete(self, kind: Kind, id_: str) -> None:
        """Delete an object."""
        self._call(kind, "HcnDelete{}", id_, ctypes.byref(Guid.of(id_)))

    def attach(self, container_id: str, endpoint_id: str) -> None:
        """Attach an endpoint to a container that runs; Docker itself knows nothing of it. Raises HcnCallError."""
        handle = ctypes.c_void_p()
        self._compute_call("HcsOpenComputeSystem", container_id, container_id, ctypes.byref(handle))
        try:
            request = json.dumps({"ResourceType": "Network", "RequestType": "Add", "Settings": endpoint_id})
            self._compute_call("HcsModifyComputeSystem", container_id, handle, request)
        finally:
            self._compute_function("HcsCloseComputeSystem")(handle)

    def containers_of(self, endpoint_id: str) -> frozenset[str]:
        """The containers that have an endpoint. Raises HnsError."""
        shared = self.hns_call("GET", f"/endpoints/{endpoint_id}").get("SharedContainers") or ()
        if not isinstance(shared, (list, tuple)):
            raise InvalidObject(f"endpoint {endpoint_id}: SharedContainers is {shared!r}")
        return frozenset(map(str, shared))

    def hns_call(self, method: str, path: str, body: str = "") -> Any:
        """One call of the older interface; its Output.

        Raises:
            CallFailed: HNS refused.
            HcnCallError: the call itself failed.
        """
        response = ctypes.c_void_p()
        code = self._compute_function("HNSCall")(method, path, body, ctypes.byref(response))
        text = self._taken(response)
        if code < 0:
            raise HcnCallError("HNSCall", f"{method} {path}", code, text)
        return v1.output(text, f"{method} {path}")

    def _compute_function(self, name: str) -> Callable[..., int]:
        if name not in self._functions:
            if self._compute is None:
                self._compute = _load("vmcompute.dll")
            self._functions[name] = _bind(self._compute, name, _COMPUTE_SIGNATURES[name], ctypes.c_int32)
        return self._functions[name]

    def _compute_call(self, name: str, about: str, *arguments: Any) -> None:
        record = ctypes.c_void_p()
        code = self._compute_function(name)(*arguments, ctypes.byref(record))
        said = self._taken(record)
        if code < 0:
            raise HcnCallError(name, about, code, said)

    # ---- one call

    @contextmanager
    def _opened(self, kind: Kind, id_: str) -> Iterator[ctypes.c_void_p]:
        with self._handle(kind, "HcnOpen{}", id_, ctypes.byref(Guid.of(id_))) as handle:
            yield handle

    def _created(self, kind: Kind, about: str, *arguments: Any) -> Any:
        with self._handle(kind, "HcnCreate{}", about, *arguments) as handle:
            return self._query(kind, handle, about)

    @contextmanager
    def _handle(self, kind: Kind, pattern: str, about: str, *arguments: Any) -> Iterator[ctypes.c_void_p]:
        handle = ctypes.c_void_p()
        try:
            self._call(kind, pattern, about, *arguments, ctypes.byref(handle))
            yield handle
        finally:
            # Also one that came with an error record.
            if handle:
                self._function(kind, "HcnClose{}")(handle)

    def _query(self, kind: Kind, handle: ctypes.c_void_p, about: str) -> Any:
        text = self._strings(kind, "HcnQuery{}Properties", json.dumps(hcn.query()), handle, about=about)
        return _parsed(text, f"HcnQuery{kind}Properties {about}")

    def _strings(self, kind: Kind, pattern: str, query: str, *before: Any, about: str = "") -> str:
        value = ctypes.c_void_p()
        try:
            self._call(kind, pattern, about, *before, query, ctypes.byref(value))
        finally:
            text = self._taken(value)
        return text

    def _call(self, kind: Kind, pattern: str, about: str, *arguments: Any) -> None:
        record = ctypes.c_void_p()
        code = self._function(kind, pattern)(*arguments, ctypes.byref(record))
        said = self._taken(record)
        # As hcsshim does it: a filled error record is a failure whatever the code says.
        if code < 0 or said:
            raise HcnCallError(pattern.format(kind), about, code, said)

    def _taken(self, pointer: ctypes.c_void_p) -> str:
        if not pointer:
            return ""
        text = ctypes.wstring_at(pointer.value or 0)
        self._free(pointer)
        pointer.value = None
        return text

    def _function(self, kind: Kind, pattern: str) -> Callable[..., int]:
        name = pattern.format(kind)
        if name not in self._functions:
            types = _SIGNATURES[pattern]
            if name == "HcnCreateEndpoint":
                types = (_POINTER, *types)
            self._functions[name] = _bind(self._network, name, types, ctypes.c_int32)
        return self._functions[name]


def _load(name: str) -> Any:
    if sys.platform != "win32":
        raise HcnUnavailable(f"{name}: this is not Windows")
    try:
        return ctypes.WinDLL(name, winmode=SYSTEM32_ONLY)
    except OSError as error:
        raise HcnUnavailable(_NO_LIBRARY.format(name=name, error=error)) from None


def _bind(library: Any, name: str, types: tuple[Any, ...], result: Any) -> Callable[..., int]:
    try:
        function = getattr(library, name)
    except AttributeError:
        raise HcnUnavailable(f"{name} is not in this Windows; install its current cumulative update") from None
    function.argtypes = types
    function.restype = result
    bound: Callable[..., int] = function
    return bound


def _parsed(text: str, what: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        raise InvalidObject(f"{what} gave no JSON but {text[:200]!r}") from error
