# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""The checks of the role `verify`: what is asked of whom, and what the answers mean."""
