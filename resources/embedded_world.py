"""The synthetic world and its small models come in a package of their own, `bodyworld`, which need not be installed."""

from collections.abc import Iterator
from contextlib import contextmanager

from bolid_pipeline.errors import ConfigurationError


@contextmanager
def needing_bodyworld() -> Iterator[None]:
    """Make imports of `bodyworld` in the block raise ConfigurationError if the package is not installed."""
    try:
        yield
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "bodyworld":
            raise
        raise ConfigurationError(
            "the embedded world and models need the package bodyworld, which is not installed: install it, or choose "
            "another BOLID_DEPLOYMENT than 'demo'"
        ) from error
