# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""The Windows Host Networking Service as data: its objects, their JSON, and the plan from actual to wanted.

`objects` are what people mean; `hcn` and `v1` turn them into the documents of the two interfaces of HNS and back;
`options` reads them from what a task or a program says; `versions` knows which HNS has which feature; `plan` compares.
"""
