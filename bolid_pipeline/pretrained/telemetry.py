"""Keeps ultralytics to itself: imported for its effect, before the first import of ultralytics.

With ultralytics, PIL.Image.open installs a package when it meets an unknown file. `bolid_pipeline.images` keeps
Pillow's own, as it is imported here first.
"""

import os
import tempfile
from pathlib import Path

import bolid_pipeline.images  # noqa: F401 # pyright: ignore[reportUnusedImport] - see above

# ultralytics reads these when it is imported. Offline, it sends no events, asks for no newer version,
# downloads no weights by name; and it neither installs packages by itself nor writes settings into the home
# folder.
os.environ.setdefault("YOLO_OFFLINE", "true")
os.environ.setdefault("YOLO_AUTOINSTALL", "false")
os.environ.setdefault("YOLO_VERBOSE", "false")
os.environ.setdefault(
    "YOLO_CONFIG_DIR", str(Path(tempfile.gettempdir()) / f"bolid-ultralytics-{os.getuid()}")
)
