# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""WinRM as Windows speaks it (MS-WSMV): SOAP over HTTPS, NTLM, message encryption, remote shells. No Windows in it."""
