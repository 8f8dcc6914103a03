# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""The lab: systemd machines in network namespaces of their own, on which ``site.yml`` is run as on any other."""
