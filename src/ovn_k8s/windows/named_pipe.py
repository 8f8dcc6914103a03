# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""The client's end of a named pipe."""

from __future__ import annotations

import errno
import io
import time

BUSY_SECONDS = 0.02


def opened(path: str, seconds: float) -> io.FileIO:
    """A connection to the server of a pipe; while all of its instances have a client, it is waited for.

    Raises:
        OSError: nobody serves that pipe, this user may not, or it was busy all the time.
    """
    deadline = time.monotonic() + seconds
    while True:
        try:
            return io.FileIO(path, "r+")
        except OSError as error:
            # ERROR_PIPE_BUSY: the C library, which is asked, has no errno for it, and such become EINVAL.
            if error.errno != errno.EINVAL or time.monotonic() > deadline:
                raise
        time.sleep(BUSY_SECONDS)
