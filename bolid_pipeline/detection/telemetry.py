"""Keeps ultralytics offline and off the machine's settings. Import this before the first import of ultralytics.

ultralytics replaces PIL.Image.open by a function that installs a package when it meets an unknown file.
`bolid_pipeline.images.decoding` holds Pillow's own function, because it is imported here first.
"""

import os
import tempfile
from pathlib import Path

import bolid_pipeline.images.decoding  # noqa: F401 # pyright: ignore[reportUnusedImport] - see above

# ultralytics reads these variables when it is imported. YOLO_OFFLINE stops usage events, the check for newer versions
# and the download of weights by name; the others stop package installs, logging, and settings in the home folder.
os.environ.setdefault("YOLO_OFFLINE", "true")
os.environ.setdefault("YOLO_AUTOINSTALL", "false")
os.environ.setdefault("YOLO_VERBOSE", "false")
os.environ.setdefault(
    "YOLO_CONFIG_DIR", str(Path(tempfile.gettempdir()) / f"bolid-ultralytics-{os.getuid()}")
)
