# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""The Kubernetes API as our programs use it: plain documents, lists, watches, caches."""
