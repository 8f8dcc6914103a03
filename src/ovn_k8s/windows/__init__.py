# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""Programs of a Windows node: they run on the bundle's own Python and talk to Windows through ctypes and pywin32.

Only `hcn_library`, `detached` and what has `service` in its name need Windows; the rest runs, and is tested, anywhere.
"""
