# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""What the modules do to a machine's files and packages, and the record by which it can be undone."""
