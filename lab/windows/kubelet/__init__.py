# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""A stand-in for kubelet and containerd on a modelled Windows.

Its calls to the API server and to CNI are real; its containers are processes of Linux in a network compartment.
"""
