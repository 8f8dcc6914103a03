# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""What stands in for Windows: an emulated Host Network Service, and Wine for the programs themselves.

A model. What it is evidence for and what not, is in docs/windows-evidence.md.
"""
