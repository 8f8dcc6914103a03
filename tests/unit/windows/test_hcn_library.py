# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""Every call of `hcn_library`: its declared signature, what it frees and what it closes, whatever the call ends with.

Evidence: unit. The libraries are Python here; the signatures are compared with the C of the lab's libraries, which the
tests under Wine call for real.
"""

from __future__ import annotations

import ctypes
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ovn_k8s.core.hns.errors import HnsError, InvalidObject
from ovn_k8s.windows import hcn_library
from ovn_k8s.windows.hcn_errors import HcnCallError
from ovn_k8s.windows.hcn_library import Guid, HcnLibrary
from ovn_k8s.windows.host_network import read_all
from ovn_k8s.windows.kinds import Kind

STUB = Path(__file__).resolve().parents[3] / "lab" / "windows" / "stub" / "hcn_stub.c"
ID = "88888888-8888-4888-8888-888888888888"
REFUSED = -0x7FC4FFEB  # 0x803B0015
C_TYPES = {
    "PCWSTR": ctypes.c_wchar_p,
    "REFGUID": ctypes.POINTER(Guid),
    "void *": ctypes.c_void_p,
    "void **": ctypes.POINTER(ctypes.c_void_p),
    "PWSTR *": ctypes.POINTER(ctypes.c_void_p),
}


class Function:
    """One entry point: takes what its declared types take, and converts it as ctypes does."""

    def __init__(self, name: str, host: Host) -> None:
        self.name = name
        self.host = host
        self.argtypes: tuple[Any, ...] | None = None
        self.restype: Any = ctypes.c_int

    def __call__(self, *arguments: Any) -> int:
        assert self.argtypes is not None, f"{self.name} is called without a signature"
        prototype = ctypes.CFUNCTYPE(self.restype, *self.argtypes)
        return int(prototype(lambda *raw: self.host.answer(self.name, raw))(*arguments) or 0)


class Host:
    """Libraries that give out strings and handles, and count what comes back."""

    def __init__(self) -> None:
        self.functions: dict[str, Function] = {}
        self.given: dict[int, Any] = {}
        self.strings = 0
        self.freed_twice = 0
        self.handles: set[int] = set()
        self.opened = 0
        self.values: dict[str, str] = {}
        self.codes: dict[str, int] = {}
        self.records: dict[str, str] = {}

    def __getattr__(self, name: str) -> Function:
        if name.startswith("_"):
            raise AttributeError(name)
        return self.functions.setdefault(name, Function(name, self))

    def answer(self, name: str, raw: tuple[Any, ...]) -> int:
        if name == "CoTaskMemFree":
            if self.given.pop(raw[0], None) is None:
                self.freed_twice += 1
            return 0
        if "Close" in name:
            self.handles.remove(raw[0])
            return 0
        outs = [one for one in raw if isinstance(one, ctypes.POINTER(ctypes.c_void_p))]
        code = self.codes.get(name, 0)
        if name == "HNSCall":
            self._string(outs[0], self.values.get(name, ""))
            return code
        self._string(outs[-1], self.records.get(name, ""))
        if len(outs) > 1 and ("Query" in name or "Enumerate" in name):
            self._string(outs[0], self.values.get(name, ""))
        elif len(outs) > 1 and code >= 0:
            self.opened += 1
            self.handles.add(self.opened)
            outs[0][0] = self.opened
        return code

    def _string(self, out: Any, text: str) -> None:
        out[0] = None
        if text:
            self.strings += 1
            buffer = ctypes.create_unicode_buffer(text)
            out[0] = ctypes.addressof(buffer)
            self.given[ctypes.addressof(buffer)] = buffer

    def assert_nothing_is_left(self) -> None:
        assert (self.given, self.handles, self.freed_twice) == ({}, set(), 0)


@pytest.fixture
def host(monkeypatch: pytest.MonkeyPatch) -> Host:
    made = Host()
    for kind in Kind:
        made.values[f"HcnQuery{kind}Properties"] = json.dumps({"ID": ID})
        made.values[f"HcnEnumerate{kind}s"] = json.dumps([ID])
    made.values["HNSCall"] = json.dumps({"Success": True, "Output": {"Major": 13, "Minor": 2}})
    monkeypatch.setattr(hcn_library, "_load", lambda name: made)
    return made


def use_everything(library: HcnLibrary) -> None:
    library.version()
    library.containers_of(ID)
    library.attach("container", ID)
    for kind in Kind:
        library.ids(kind)
        library.read(kind, ID)
        library.create(kind, {"Name": "réseau"}, ID)
        library.modify(kind, ID, {})
        library.delete(kind, ID)


def c_signatures() -> dict[str, list[Any]]:
    """What the lab's libraries export, from their source."""
    source = STUB.read_text()
    macros = re.findall(
        r"#define (\w+)\(name\) \\\s+EXPORT HRESULT WINAPI (Hcn##name)\(([^)]*)\)"
        r"|EXPORT HRESULT WINAPI (\w+)\(([^)]*)\)",
        source,
    )
    bodies = {macro: text for macro, _, text, _, _ in macros if macro}
    found = {name: text for *_, name, text in macros if name}
    kind = re.search(r"#define KIND\(name\) \\\n(.*?)\n\n", source, re.S)
    assert kind is not None
    uses = re.findall(r"(\w+)\((\w*?)##name(?:##(\w+))?\)", kind[1])
    for line in re.findall(r"^KIND\(.*$", source, re.M):
        for macro, argument in re.findall(r"(\w+)\((\w+)\)", line):
            if macro == "KIND":
                for inner, before, after in uses:
                    found[f"Hcn{before}{argument}{after}"] = bodies[inner]
            else:
                found[f"Hcn{argument}"] = bodies[macro]
    return {name: [_c_type(one) for one in text.split(",")] for name, text in found.items()}


def _c_type(parameter: str) -> Any:
    match = re.fullmatch(r"(\w+ ?\**)\s*\w+", parameter.strip())
    assert match, parameter
    return C_TYPES[match[1].strip()]


def test_every_call_has_the_signature_of_the_library(host: Host) -> None:
    library = HcnLibrary()
    use_everything(library)
    exported = c_signatures()
    used = {name: function for name, function in host.functions.items() if name != "CoTaskMemFree"}
    assert len(used) == 7 * len(Kind) + 4
    for name, function in used.items():
        assert list(function.argtypes or ()) == exported[name], name
        assert function.restype is ctypes.c_int32, name
    free = host.functions["CoTaskMemFree"]
    assert (free.argtypes, free.restype) == ((ctypes.c_void_p,), None)
    host.assert_nothing_is_left()
    assert host.strings > 0
    assert host.opened > 0


def test_structures_have_the_sizes_of_windows() -> None:
    assert ctypes.sizeof(Guid) == 16
    assert bytes(Guid.of("00112233-4455-6677-8899-aabbccddeeff")).hex() == "33221100554477668899aabbccddeeff"
    for text in ("", "7", ID + "0", ID.replace("8", "g")):
        with pytest.raises(InvalidObject, match="is not a GUID"):
            Guid.of(text)


@pytest.mark.parametrize("call", [(1, 2, 3, 4), ("text",), (b"bytes", None, None), ()])
def test_arguments_of_other_types_or_numbers_are_refused(host: Host, call: tuple[Any, ...]) -> None:
    library = HcnLibrary()
    library.ids(Kind.NETWORK)
    with pytest.raises((ctypes.ArgumentError, TypeError)):
        host.functions["HcnEnumerateNetworks"](*call)


CALLS: list[tuple[str, Callable[[HcnLibrary], Any]]] = [
    ("HcnEnumerateEndpoints", lambda library: library.ids(Kind.ENDPOINT)),
    ("HcnOpenEndpoint", lambda library: library.read(Kind.ENDPOINT, ID)),
    ("HcnQueryEndpointProperties", lambda library: library.read(Kind.ENDPOINT, ID)),
    ("HcnOpenNetwork", lambda library: library.create(Kind.ENDPOINT, {}, ID)),
    ("HcnCreateEndpoint", lambda library: library.create(Kind.ENDPOINT, {}, ID)),
    ("HcnCreateNetwork", lambda library: library.create(Kind.NETWORK, {})),
    ("HcnQueryNetworkProperties", lambda library: library.create(Kind.NETWORK, {})),
    ("HcnModifyNamespace", lambda library: library.modify(Kind.NAMESPACE, ID, {})),
    ("HcnDeleteEndpoint", lambda library: library.delete(Kind.ENDPOINT, ID)),
    ("HcsOpenComputeSystem", lambda library: library.attach("container", ID)),
    ("HcsModifyComputeSystem", lambda library: library.attach("container", ID)),
    ("HNSCall", lambda library: library.version()),
]
RECORD = json.dumps({"Success": False, "Error": "The request is not supported. ", "ErrorCode": 0x803B0015})


@pytest.mark.parametrize(("name", "call"), CALLS, ids=[name for name, _ in CALLS])
@pytest.mark.parametrize("record", [RECORD, "", "<html>", "{"])
def test_a_refusal_is_said_and_leaves_nothing(
    host: Host, name: str, call: Callable[[HcnLibrary], Any], record: str
) -> None:
    host.codes[name] = REFUSED
    host.records[name] = record
    with pytest.raises(HcnCallError, match=rf"^{name}.*HCN_E_REQUEST_UNSUPPORTED \(0x803B0015\)"):
        call(HcnLibrary())
    host.assert_nothing_is_left()


@pytest.mark.parametrize("name", ["HcnOpenEndpoint", "HcnCreateEndpoint", "HcnCreateNetwork", "HcnOpenNetwork"])
def test_a_handle_that_comes_with_an_error_record_is_closed(host: Host, name: str) -> None:
    host.records[name] = RECORD
    with pytest.raises(HcnCallError, match="The request is not supported"):
        dict(CALLS)[name](HcnLibrary())
    host.assert_nothing_is_left()
    assert host.opened > 0


@pytest.mark.parametrize("value", ["", "not json", "{", '"\\ud800'])
@pytest.mark.parametrize("name", ["HcnEnumerateEndpoints", "HcnQueryEndpointProperties", "HNSCall"])
def test_an_answer_that_is_no_document_is_said_and_leaves_nothing(host: Host, name: str, value: str) -> None:
    host.values[name] = value
    with pytest.raises(HnsError):
        dict(CALLS)[name](HcnLibrary())
    host.assert_nothing_is_left()


def test_an_id_that_is_none_is_no_object_that_went(host: Host) -> None:
    host.values["HcnEnumerateEndpoints"] = "[7]"
    with pytest.raises(InvalidObject, match="'7' is not a GUID"):
        read_all(HcnLibrary(), Kind.ENDPOINT, lambda document: document)
