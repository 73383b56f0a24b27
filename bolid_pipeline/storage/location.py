"""Locations of data: a folder of this machine or an address such as `s3://bucket/prefix`, used alike.

Object storage needs its fsspec filesystem: `s3fs` for `s3://`, `gcsfs` for `gs://` (the extras `s3` and `gs`).
"""

from pathlib import Path

from upath import UPath

from bolid_pipeline.errors import ConfigurationError

Location = Path | UPath


def locate(place: str | Location) -> Location:
    """A Path for a folder, a UPath for an address; both have `/`, `glob`, `open` and `unlink`."""
    if isinstance(place, str):
        # A cached listing would hide the parts that another process has written meanwhile.
        return UPath(place, use_listings_cache=False) if "://" in place else Path(place)
    return place


def local_root(data_dir: Location, local_dir: Path | None) -> Path:
    """The folder for checkpoints and reports: `local_dir`, or the data folder where that is a folder.

    Raises:
        ConfigurationError: the data are on object storage, and `local_dir` is None.
    """
    if local_dir is not None:
        return local_dir
    if isinstance(data_dir, Path):
        return data_dir
    raise ConfigurationError(
        f"{data_dir} is an address: name a folder for checkpoints and reports in BOLID_LOCAL_DIR"
    )
