# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""The one ethtool setting that is needed: transmit checksum offload (linux/ethtool.h)."""

from __future__ import annotations

import array
import fcntl
import socket
import struct

_SIOCETHTOOL = 0x8946
_ETHTOOL_STXCSUM = 0x17


def set_transmit_checksum(interface: str, enabled: bool) -> None:
    """Switch transmit checksum offload.

    Open vSwitch's userspace datapath reads packets of a veth or a NIC through a packet socket and does not complete
    their checksums, so TCP from an interface that faces it fails until this is off.

    Raises:
        OSError: no such interface here, no privilege, or the driver cannot.
    """
    data = array.array("B", struct.pack("=II", _ETHTOOL_STXCSUM, int(enabled)))
    address, _ = data.buffer_info()
    request = struct.pack("16sP16x", interface.encode(), address)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as handle:
        fcntl.ioctl(handle.fileno(), _SIOCETHTOOL, request)
