# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""What every long-running program has: its log, its status page, its figures, and its word to systemd."""
