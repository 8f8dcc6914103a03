# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""What the role windows_worker does on a Windows machine: files, services, firewall rules and facts, many in one call.

Only `service_control` and `adapters` need Windows; the rest runs, and is tested, anywhere.
"""
