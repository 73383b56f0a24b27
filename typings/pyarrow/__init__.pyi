# pyarrow makes much of itself at import time, where pyright cannot see it; for pyright everything in it is Any.
from typing import Any

def __getattr__(name: str) -> Any: ...
