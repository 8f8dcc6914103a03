# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""Gives the virtual environments of ansible-test the pip that Python itself carries.

ansible-test would fetch a script for that from a host of its own each time that its cache is empty.
"""

import ensurepip

ensurepip.bootstrap(default_pip=True, upgrade=True)
