"""Where data lie: a folder of this machine, or an address such as `s3://bucket/prefix`, both used like a Path.

Object storage needs its fsspec filesystem: `s3fs` for `s3://`, `gcsfs` for `gs://` (the extras `s3` and `gs`).
"""

from pathlib import Path

from upath import UPath

Location = Path | UPath


def locate(place: str | Location) -> Location:
    """The place as something to `/`, `glob`, `open` and `unlink`; an address's listings are never cached."""
    if isinstance(place, str):
        return UPath(place, use_listings_cache=False) if "://" in place else Path(place)
    return place
