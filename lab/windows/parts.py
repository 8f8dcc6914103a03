# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""Fetches the parts of the Windows bundle into a folder, for a control machine that has no way out."""

from __future__ import annotations

import importlib.util
import sys
import zipfile
from pathlib import Path

from ..settings import TREE

SOURCE = TREE.parent / "plugins/plugin_utils/windows_parts.py"


def main(folder: Path) -> None:
    """Have the three files there, as the role wants them in `windows_worker_parts_dir`."""
    specification = importlib.util.spec_from_file_location("windows_parts", SOURCE)
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    sys.modules[specification.name] = module
    specification.loader.exec_module(module)
    parts = module.Parts(folder)
    files = parts.python()
    # In the form that is looked for first, wherever it came from.
    with zipfile.ZipFile(folder / module.PYTHON_FILE, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in sorted(files.items()):
            archive.writestr(zipfile.ZipInfo(name), content)
    for part in (module.PYWIN32, module.LAUNCHER):
        parts.file(part)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
