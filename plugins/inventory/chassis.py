# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors

from __future__ import annotations

DOCUMENTATION = r"""
name: chassis
short_description: The chassis of an OVN deployment as hosts
version_added: 0.1.0
description:
  - Makes a host of every chassis in the southbound database of OVN, with what the chassis says of itself as variables.
  - The file of the inventory is called C(chassis.yml), or ends with C(.chassis.yml).
  - The database is read from the control machine, which needs a remote and, for TLS, a certificate that it trusts.
author:
  - The ovn_k8s.cluster authors (@ovn-k8s)
notes:
  - 'Variables of each host: C(ovn_chassis), its name; C(ovn_hostname); C(ovn_encapsulations), a list of dictionaries
    with C(type), C(ip) and C(options); C(ovn_encap_ip) and C(ovn_encap_type), those of the first;
    C(ovn_bridge_mappings), a
    dictionary of physical networks to bridges; C(ovn_gateway), whether it may be a gateway; C(ovn_cms_options),
    C(ovn_transport_zones), C(ovn_datapath_type), C(ovn_nb_cfg), C(ovn_external_ids), C(ovn_other_config).'
extends_documentation_fragment:
  - constructed
  - inventory_cache
options:
  plugin:
    description:
      - Says that the file is for this plugin.
    type: str
    required: true
    choices: [ovn_k8s.cluster.chassis]
  remote:
    description:
      - Where the southbound database is, as V(unix:/path), V(tcp:host:port) or V(ssl:host:port); the members of a
        clustered database are separated by commas, and any that answers is fine.
    type: str
    default: unix:/run/ovn/ovnsb_db.sock
    env:
      - name: OVN_SB_DB
  private_key:
    description:
      - Path of the PEM file with our private key. Needed for a remote that starts with V(ssl:). A relative path starts
        at the inventory file's folder.
    type: str
  certificate:
    description:
      - Path of the PEM file with the certificate of O(private_key).
    type: str
  ca_certificate:
    description:
      - Path of the PEM file with the certificate of the authority that the server's certificate must come from.
    type: str
  timeout:
    description:
      - Seconds to wait for a connection, and for each answer of the server.
    type: float
    default: 10.0
  name_by:
    description:
      - What hosts are called, the chassis' name (its system-id) or its host name.
    type: str
    choices: [name, hostname]
    default: name
  address_by:
    description:
      - Where Ansible connects to (C(ansible_host)), the address of the first tunnel, the host name, or what other
        inventories and C(compose) say.
    type: str
    choices: [encapsulation, hostname, none]
    default: encapsulation
  group:
    description:
      - The group that every host is in; an empty string for none.
    type: str
    default: ovn_chassis
seealso:
  - module: ovn_k8s.cluster.ovn_sb_info
"""

EXAMPLES = r"""
# chassis.yml: gateways in a group, and a group for each tunnel type and each physical network
plugin: ovn_k8s.cluster.chassis
remote: ssl:192.0.2.11:6642
private_key: pki/me.key
certificate: pki/me.crt
ca_certificate: pki/ovn-ca.crt
groups:
  gateways: ovn_gateway
keyed_groups:
  - key: ovn_encap_type
    prefix: tunnel
  - key: ovn_bridge_mappings.keys() | list
    prefix: network
compose:
  ansible_user: "'root'"
cache: true
cache_plugin: ansible.builtin.jsonfile
cache_connection: ~/.cache/ovn-chassis
cache_timeout: 600
"""

from pathlib import Path
from typing import Any

from ansible.errors import AnsibleParserError
from ansible.plugins.inventory import BaseInventoryPlugin, Cacheable, Constructable
from ansible_collections.ovn_k8s.cluster.plugins.module_utils.core.errors import PlanError
from ansible_collections.ovn_k8s.cluster.plugins.module_utils.ovsdb.client import Client
from ansible_collections.ovn_k8s.cluster.plugins.module_utils.ovsdb.errors import OvsdbError
from ansible_collections.ovn_k8s.cluster.plugins.module_utils.ovsdb.remote import Tls, parse_remotes
from ansible_collections.ovn_k8s.cluster.plugins.module_utils.southbound import CHASSIS_TABLES, chassis

FILES = ("chassis.yml", "chassis.yaml")
TLS_FILES = ("private_key", "certificate", "ca_certificate")
SAME = (
    "hostname",
    "encapsulations",
    "bridge_mappings",
    "gateway",
    "cms_options",
    "transport_zones",
    "datapath_type",
    "nb_cfg",
    "external_ids",
    "other_config",
)


def variables(found: dict[str, Any]) -> dict[str, Any]:
    """A chassis' variables."""
    first = next(iter(found["encapsulations"]), {"ip": "", "type": ""})
    same = {f"ovn_{name}": found[name] for name in SAME}
    return {"ovn_chassis": found["name"], "ovn_encap_ip": first["ip"], "ovn_encap_type": first["type"], **same}


class InventoryModule(BaseInventoryPlugin, Constructable, Cacheable):
    """The plugin; Ansible makes one for each inventory file."""

    NAME = "ovn_k8s.cluster.chassis"

    def verify_file(self, path: str) -> bool:
        """Whether the file may be ours."""
        name = Path(path).name
        return super().verify_file(path) and any(name == file or name.endswith(f".{file}") for file in FILES)

    def parse(self, inventory: Any, loader: Any, path: str, cache: bool = True) -> None:
        """Add the hosts."""
        super().parse(inventory, loader, path, cache)
        self._read_config_data(path)
        self.load_cache_plugin()
        key = self.get_cache_key(path)
        use_cache = self.get_option("cache")
        found = self._cache.get(key) if use_cache and cache else None
        if found is None:
            found = self._read(Path(path).resolve().parent)
            if use_cache:
                self._cache[key] = found
        for item in found:
            self._add(item)

    def _read(self, folder: Path) -> list[dict[str, Any]]:
        remote = self.get_option("remote")
        files = {name: self.get_option(name) for name in TLS_FILES}
        given = [name for name, file in files.items() if file]
        if given and len(given) < len(files):
            raise AnsibleParserError(f"private_key, certificate and ca_certificate belong together; only {given} given")
        tls = Tls(**{name: str(folder / Path(file).expanduser()) for name, file in files.items()}) if given else None
        try:
            with Client(parse_remotes(remote), "OVN_Southbound", tls=tls, timeout=self.get_option("timeout")) as client:
                return list(chassis(client.snapshot(CHASSIS_TABLES)))
        except (OvsdbError, PlanError, ValueError) as error:
            cause = str(error).removeprefix(f"{remote}: ")
            raise AnsibleParserError(f"cannot use OVN_Southbound at {remote}: {cause}") from None

    def _add(self, found: dict[str, Any]) -> None:
        name = found[self.get_option("name_by")] or found["name"]
        values = variables(found)
        self.inventory.add_host(name)
        group = self.get_option("group")
        if group:
            self.inventory.add_host(name, self.inventory.add_group(group))
        address = {"encapsulation": values["ovn_encap_ip"], "hostname": found["hostname"]}
        if address.get(self.get_option("address_by")):
            self.inventory.set_variable(name, "ansible_host", address[self.get_option("address_by")])
        for variable, value in values.items():
            self.inventory.set_variable(name, variable, value)
        strict = self.get_option("strict")
        self._set_composite_vars(self.get_option("compose"), values, name, strict=strict)
        self._add_host_to_composed_groups(self.get_option("groups"), values, name, strict=strict)
        self._add_host_to_keyed_groups(self.get_option("keyed_groups"), values, name, strict=strict)
