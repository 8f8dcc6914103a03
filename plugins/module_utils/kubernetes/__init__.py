# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""What the modules that install and run Kubernetes share: systemd units, release digests, image archives."""
