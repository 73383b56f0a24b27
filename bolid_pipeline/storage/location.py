"""Where data lie: a folder of this machine, or an address such as `s3://bucket/prefix`, both used like a Path.

Object storage needs its fsspec filesystem: `s3fs` for `s3://`, `gcsfs` for `gs://` (the extras `s3` and `gs`).
"""

from pathlib import Path

from upath import UPath

from bolid_pipeline.errors import ConfigurationError

Location = Path | UPath


def locate(place: str | Location) -> Location:
    """The place as something to `/`, `glob`, `open` and `unlink`; an address's listings are never cached."""
    if isinstance(place, str):
        return UPath(place, use_listings_cache=False) if "://" in place else Path(place)
    return place


def local_root(data_dir: Location, local_dir: Path | None) -> Path:
    """The folder of this machine beside the data: `local_dir`, or the data folder itself.

    Raises:
        ConfigurationError: the data lie elsewhere, and no folder is named.
    """
    if local_dir is not None:
        return local_dir
    if isinstance(data_dir, Path):
        return data_dir
    raise ConfigurationError(
        f"{data_dir} is no folder: name one for checkpoints and reports in BOLID_LOCAL_DIR"
    )
