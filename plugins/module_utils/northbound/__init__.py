# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""Objects of OVN's northbound database as options of modules: one description for each kind, in a file of its own.

From a `Kind` come the argument specification and the documentation of its module, its part of `ovn_nb`'s document, the
rows that an object wants (`build`), and the object that rows stand for (`reading`).
"""
