# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""ovn-k8s-watcher: keeps OVN's northbound database equal to what the Kubernetes API says."""
