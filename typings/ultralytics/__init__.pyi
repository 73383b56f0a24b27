# ultralytics's own annotations are wrong or missing where this repo uses it; for pyright everything in it is Any.
from typing import Any

def __getattr__(name: str) -> Any: ...
