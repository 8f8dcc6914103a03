# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""How a module reaches an OVSDB server. Private to the collection: may change in any release."""

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  private_key:
    description:
      - Path, on the target, of the PEM file with our private key. Needed for a remote that starts with V(ssl:).
    type: path
  certificate:
    description:
      - Path of the PEM file with the certificate of O(private_key).
    type: path
  ca_certificate:
    description:
      - Path of the PEM file with the certificate of the authority that the server's certificate must come from.
    type: path
  timeout:
    description:
      - Seconds to wait for a connection, and for each answer of the server.
    type: float
    default: 10.0
"""

    ASSUME_EMPTY = r"""
options:
  assume_empty:
    description:
      - In check mode only. When the unix socket of O(remote) does not exist, because the server would be installed
        earlier in the same run, report what would be made in an empty database in place of failing. A database that
        is there already but has no running server is warned about, since nobody can say then what is in it.
      - Values are not checked against the database's schema then, since there is none to look at.
    type: bool
    default: false
"""

    NORTHBOUND = r"""
options:
  remote:
    description:
      - Where the northbound database is, as V(unix:/path), V(tcp:host:port) or V(ssl:host:port).
      - The members of a clustered database are separated by commas; the one that leads is used.
    type: str
    default: unix:/run/ovn/ovnnb_db.sock
"""

    SOUTHBOUND = r"""
options:
  remote:
    description:
      - Where the southbound database is, as V(unix:/path), V(tcp:host:port) or V(ssl:host:port).
      - The members of a clustered database are separated by commas; the one that leads is used.
    type: str
    default: unix:/run/ovn/ovnsb_db.sock
"""

    OPEN_VSWITCH = r"""
options:
  remote:
    description:
      - Where the database of Open vSwitch is, as V(unix:/path), V(tcp:host:port) or V(ssl:host:port).
    type: str
    default: unix:/run/openvswitch/db.sock
"""
