"""Every exception BoLID raises on purpose.

BolidError
 +-- ConfigurationError      a setting is unknown or out of range
 +-- ScrapingError
 |    +-- SourceUnreachable  the site (or folder) cannot be reached
 |    +-- LayoutChanged      a page that should hold something holds nothing known
 |    +-- RobotsDenied       robots.txt forbids the address
 |    +-- BudgetSpent        this run may send no more requests: its budget is spent, or the site asks for a long pause
 |    +-- DownloadFailed     the site answered, but not with the page or file asked for; carries a reason
 +-- WeightsError
 |    +-- WeightsMissing     a weight file is not where it should be
 |    |    +-- HubUnreachable the hub that it is downloaded from does not answer
 |    +-- WeightsMismatch    a weight file is not the pinned one (sha256)
 +-- TableError
 |    +-- UnknownTable       no such table in the contract
 |    +-- DamagedTable       a part of a table cannot be read back
 |    +-- SchemaMismatch     a table, or rows for it, of another schema
 |    +-- ForeignLatents     latents made by another model than the one that reads them
 |    +-- StoreLocked        another process writes to the data folder
 |    +-- StorageFull        no room for what is to be written
 +-- PhotoError
 |    +-- PhotoRefused       received bytes that are not a whole photo of a known type; carries a reason
 |    +-- UnreadablePhoto    a stored photo that cannot be decoded
 +-- WorkError
 |    +-- TookTooLong        work on bytes from outside reached its limit of time
 |    +-- WorkerDied         the process that did such work crashed or was killed
 +-- OutOfMemory             the least that can be computed at once does not fit in the device's memory
 +-- NotEnoughData           a stage has nothing, or too little, to work on
 +-- UnknownIdentity         a person the data set or the checkpoint does not hold
"""

from typing import Any, Self

from bolid_pipeline.names import printable
from bolid_pipeline.redaction import without_logins


class BolidError(Exception):
    """Base of every error that BoLID raises on purpose; the message names the value and the way out."""

    def __str__(self) -> str:
        """The message, safe for a terminal: without passwords, and without control characters that a site has sent."""
        return printable(without_logins(super().__str__()))

    @classmethod
    def _restored(cls, args: tuple[Any, ...], attributes: dict[str, Any]) -> Self:
        error = cls.__new__(cls, *args)
        error.__dict__.update(attributes)
        return error

    def __reduce__(self) -> tuple[Any, ...]:
        """For pickle: the error with its message and attributes, whatever its constructor takes."""
        return self._restored, (self.args, self.__dict__)


class ConfigurationError(BolidError):
    """A setting is unknown or out of range."""


class ScrapingError(BolidError):
    """The crawl cannot go on as asked; `reason` says why in one word of the set in `scraping/outcomes.py`."""

    reason: str

    def __init__(self, message: str, *, reason: str | None = None) -> None:
        super().__init__(message)
        if reason is not None:
            self.reason = reason


class SourceUnreachable(ScrapingError):
    """The photo source cannot be reached."""

    reason = "unreachable"


class LayoutChanged(ScrapingError):
    """A page that should hold something holds nothing known: the site's layout has changed.

    `page_url` and `html` are the page as it was received, for whoever adapts the parser.
    """

    reason = "layout_changed"

    def __init__(self, message: str, *, page_url: str | None = None, html: bytes | None = None) -> None:
        super().__init__(message)
        self.page_url = page_url
        self.html = html


class RobotsDenied(ScrapingError):
    """robots.txt forbids the address to this crawler."""

    reason = "robots_denied"


class BudgetSpent(ScrapingError):
    """The budget or the site allows this run no more requests; a later run goes on."""

    reason = "budget_spent"


class DownloadFailed(ScrapingError):
    """The site answered, but not with what was asked for."""

    def __init__(self, message: str, *, reason: str) -> None:
        super().__init__(message, reason=reason)


class WeightsError(BolidError):
    """Pretrained weights cannot be used."""


class WeightsMissing(WeightsError):
    """A weight file is not where it should be."""


class HubUnreachable(WeightsMissing):
    """The hub that weights are downloaded from does not answer."""


class WeightsMismatch(WeightsError):
    """A weight file is not the pinned one."""


class TableError(BolidError):
    """A table cannot be read or written."""


class UnknownTable(TableError):
    """The contract knows no table of this name."""


class DamagedTable(TableError):
    """A part of a table is cut short or fails its checksum."""


class SchemaMismatch(TableError):
    """A table, or rows meant for it, have another schema than the contract's."""


class ForeignLatents(TableError):
    """Cached latents were made by another model than the one that would read them."""


class StoreLocked(TableError):
    """Another process writes to the data folder; the message says which one."""


class StorageFull(TableError):
    """The storage is full; everything written before is untouched."""


class PhotoError(BolidError):
    """The bytes of a photo cannot be used."""


class PhotoRefused(PhotoError):
    """Received bytes are not a whole photo of a known type; `reason` is one of `images.refusals.REFUSALS`."""

    def __init__(self, reason: str, words: str | None = None) -> None:
        super().__init__(f"photo refused: {reason}" + (f" ({words})" if words else ""))
        self.reason = reason
        self.words = words


class UnreadablePhoto(PhotoError):
    """A stored photo cannot be decoded."""


class WorkError(BolidError):
    """Work on bytes from outside came to no end."""


class TookTooLong(WorkError):
    """The work was stopped at its limit of time."""


class WorkerDied(WorkError):
    """The process that did the work crashed or was killed."""


class OutOfMemory(BolidError):
    """The least that can be computed at once does not fit in the memory of the device."""


class NotEnoughData(BolidError):
    """A stage has nothing, or too little, to work on."""


class UnknownIdentity(BolidError):
    """The data set or the checkpoint holds no such person."""
