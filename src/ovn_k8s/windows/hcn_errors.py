# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""What calls of the Host Compute Network interface end with when they do not succeed."""

from __future__ import annotations

import json

from ovn_k8s.core.hns.errors import HnsError

NAMES = {
    0x803B0001: "HCN_E_NETWORK_NOT_FOUND",
    0x803B0002: "HCN_E_ENDPOINT_NOT_FOUND",
    0x803B0004: "HCN_E_SWITCH_NOT_FOUND",
    0x803B0005: "HCN_E_SUBNET_NOT_FOUND",
    0x803B0006: "HCN_E_ADAPTER_NOT_FOUND",
    0x803B0007: "HCN_E_PORT_NOT_FOUND",
    0x803B0008: "HCN_E_POLICY_NOT_FOUND",
    0x803B000A: "HCN_E_INVALID_NETWORK",
    0x803B000B: "HCN_E_INVALID_NETWORK_TYPE",
    0x803B000C: "HCN_E_INVALID_ENDPOINT",
    0x803B000D: "HCN_E_INVALID_POLICY",
    0x803B000E: "HCN_E_INVALID_POLICY_TYPE",
    0x803B0010: "HCN_E_NETWORK_ALREADY_EXISTS",
    0x803B0012: "HCN_E_POLICY_ALREADY_EXISTS",
    0x803B0013: "HCN_E_PORT_ALREADY_EXISTS",
    0x803B0014: "HCN_E_ENDPOINT_ALREADY_ATTACHED",
    0x803B0015: "HCN_E_REQUEST_UNSUPPORTED",
    0x803B0017: "HCN_E_DEGRADED_OPERATION",
    0x803B001B: "HCN_E_INVALID_JSON",
    0x803B001E: "HCN_E_INVALID_IP",
    0x803B001F: "HCN_E_SWITCH_EXTENSION_NOT_FOUND",
    0x803B0020: "HCN_E_MANAGER_STOPPED",
    0x803B002B: "HCN_E_ENDPOINT_NAMESPACE_ALREADY_EXISTS",
    0x803B002C: "HCN_E_ENTITY_HAS_REFERENCES",
    0x803B002F: "HCN_E_ADDR_INVALID_OR_RESERVED",
    0xC037010E: "HCS_E_SYSTEM_NOT_FOUND",
    0x80370110: "HCS_E_SYSTEM_ALREADY_STOPPED",
    0x80070490: "ERROR_NOT_FOUND",
    0x80070005: "E_ACCESSDENIED",
    0x80070057: "E_INVALIDARG",
    0x80004001: "E_NOTIMPL",
    0x800706BA: "RPC_S_SERVER_UNAVAILABLE",
}
"""HRESULTs by value (winerror.h)."""

_NOT_FOUND = frozenset({0x803B0001, 0x803B0002, 0x80070490})
_ADVICE = {
    0x803B0006: "no adapter of that name is free for a virtual switch; check the adapter's name",
    0x80070005: "it takes an administrator",
    0x800706BA: "the Host Network Service does not run; check the service hns and the Containers feature",
    0x803B0020: "the Host Network Service is stopping; try again when it runs",
}


class HcnUnavailable(HnsError):
    """This machine has no Host Compute Network interface."""


class HcnTimeout(HnsError):
    """A call did not come back in time. It may still take effect."""


class HcnCallError(HnsError):
    """A call that was refused: the function, what it was about, the HRESULT and HNS's own words."""

    def __init__(self, function: str, about: str, code: int, record: str) -> None:
        self.function = function
        self.code = code & 0xFFFFFFFF
        name = NAMES.get(self.code, "unknown error")
        said = error_text(record)
        parts = [f"{function}{' ' + about if about else ''} failed: {name} (0x{self.code:08X})"]
        if said:
            parts.append(f"HNS says: {said}")
        if self.code in _ADVICE:
            parts.append(_ADVICE[self.code])
        super().__init__("; ".join(parts))

    @property
    def is_not_found(self) -> bool:
        """The object is not there (any more)."""
        return self.code in _NOT_FOUND


def error_text(record: str) -> str:
    """The words in an error record `{"Success": false, "Error": "…", "ErrorCode": n}`, or the record as it is."""
    try:
        said = json.loads(record).get("Error", "")
    except (ValueError, AttributeError):
        said = record
    return " ".join(str(said).split())
