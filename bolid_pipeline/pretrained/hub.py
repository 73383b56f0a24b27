"""Finds the files of a published model: in a folder of weights, in the Hugging Face cache, or by a download."""

import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

from bolid_pipeline.errors import ConfigurationError, HubUnreachable, WeightsMismatch, WeightsMissing
from bolid_pipeline.pretrained.loading import first_words
from bolid_pipeline.pretrained.pins import Pin
from bolid_pipeline.pretrained.published import PublishedModel
from bolid_pipeline.pretrained.weights import WeightsFile, file_sha256, verify

IN_CACHE = "Hugging Face cache"
_HTTP_LIBRARIES = ("httpx", "httpx2", "requests")
"""What huggingface_hub asks the hub with, from version to version."""
_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class FoundModel:
    """A model whose needed files are all on this machine."""

    place: str
    """In words, for people."""
    root: Path
    """The folder of its repository."""
    path: Path
    """The model's file or folder in it."""
    files: tuple[str, ...]
    """The needed files, from the root."""

    @property
    def size_bytes(self) -> int:
        """Of the needed files."""
        return sum((self.root / name).stat().st_size for name in self.files)

    def verify(self, sha256: Mapping[str, str]) -> int:
        """Check the files whose sha256 is known, and return how many they are. Raises WeightsMismatch."""
        known = [name for name in self.files if name in sha256]
        for name in known:
            try:
                verify(WeightsFile(path=self.root / name, sha256=sha256[name]))
            except WeightsMismatch as error:
                way = " by `bolid models fetch --anew`" if self.place == IN_CACHE else ""
                raise WeightsMismatch(f"{error}{way}") from error
        return len(known)


def find(model: PublishedModel, revision: str | None, weights_dir: Path | None) -> FoundModel | None:
    """The model as it lies on this machine; None if one of its files is not here. Asks nobody.

    Args:
        model: the model.
        revision: its commit, by which the Hugging Face cache knows it; None to leave the cache out.
        weights_dir: folder that holds `owner/name/...` as on the hub.
    """
    for place, root in _roots(model, revision, weights_dir):
        if not _missing_in(root, model):
            return _found_in(place, root, model)
    return None


def find_or_fetch(model: PublishedModel, pin: Pin, weights_dir: Path | None) -> FoundModel:
    """The model on this machine, downloaded if it is not here yet; files whose sha256 is known are checked.

    Raises:
        ConfigurationError: it would have to be downloaded, and no revision is pinned.
        WeightsMissing: it is neither here nor can it be downloaded.
        WeightsMismatch: a file is another one than the pinned one.
    """
    found = find(model, pin.revision, weights_dir)
    if found is None:
        return fetch(model, pin, weights_dir)
    found.verify(pin.sha256)
    return found


def fetch(model: PublishedModel, pin: Pin, weights_dir: Path | None, *, anew: bool = False) -> FoundModel:
    """Download the model into the Hugging Face cache, and check it.

    Args:
        model: the model.
        pin: its version.
        weights_dir: where it was looked for in vain, for messages.
        anew: download also the files that the cache holds already.

    Raises:
        ConfigurationError, WeightsMissing, WeightsMismatch: as `find_or_fetch`.
    """
    _refuse_missing(model)
    if pin.revision is None:
        raise ConfigurationError(
            f"{model.address} is not pinned, and names on the hub can change hands: pin it by `bolid models pin`"
        )
    from huggingface_hub import snapshot_download

    _log.info("fetching %s at %s from the Hugging Face hub", model.address, pin.revision)
    try:
        root = snapshot_download(
            model.repository, revision=pin.revision, allow_patterns=model.patterns, force_download=anew
        )
    except Exception as error:
        raise _refusal(
            f"{model.address} is not on this machine ({_looked_at(model, weights_dir)}) and was not downloaded",
            error,
        ) from error
    if missing := _missing_in(Path(root), model):
        raise WeightsMissing(f"{model.repository} holds no {missing} at {pin.revision}")
    found = _found_in(IN_CACHE, Path(root), model)
    found.verify(pin.sha256)
    return found


def make_pin(model: PublishedModel, pin: Pin, weights_dir: Path | None, *, newest: bool) -> Pin:
    """What is known of the model's version, completed from the files in `weights_dir`, else by asking the hub.

    Args:
        model: the model.
        pin: what is known.
        weights_dir: as in `find`.
        newest: of the hub take the newest commit, and not the one that is known.

    Raises:
        WeightsMissing: the hub cannot be reached, or does not know the model.
        WeightsMismatch: a file in `weights_dir` has another sha256 than the known one.
    """
    found = find(model, None, weights_dir)
    if found is None:
        _refuse_missing(model)
        return _published_pin(model, None if newest else pin.revision)
    found.verify(pin.sha256)
    return Pin(sha256={name: file_sha256(found.root / name) for name in found.files})


def _published_pin(model: PublishedModel, revision: str | None) -> Pin:
    """Ask the hub for a commit of the model's repository, and for the sha256 of its large files there."""
    from huggingface_hub import HfApi

    try:
        info = HfApi().model_info(model.repository, revision=revision, files_metadata=True)
    except Exception as error:
        raise _refusal(f"{model.repository} cannot be pinned", error) from error
    hashes = {
        file.rfilename: file.lfs.sha256
        for file in info.siblings or ()
        if file.lfs is not None and any(fnmatch(file.rfilename, pattern) for pattern in model.patterns)
    }
    return Pin(revision=info.sha, sha256=hashes)


def _roots(
    model: PublishedModel, revision: str | None, weights_dir: Path | None
) -> Iterator[tuple[str, Path]]:
    """The folders of this machine that may hold the model's repository, and what they are in words."""
    if model.is_on_this_machine:
        yield "this machine", Path(model.repository)
        return
    if weights_dir is not None:
        yield "BOLID_WEIGHTS_DIR", weights_dir / model.repository
    if revision is not None and (cached := _cached(model, revision)) is not None:
        yield IN_CACHE, cached


def _cached(model: PublishedModel, revision: str) -> Path | None:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    patterns = model.patterns
    try:
        cached = snapshot_download(
            model.repository, revision=revision, allow_patterns=patterns, local_files_only=True
        )
    except LocalEntryNotFoundError:
        return None
    return Path(cached)


def _found_in(place: str, root: Path, model: PublishedModel) -> FoundModel:
    files = {name: None for pattern in model.patterns for name in _matches(root, pattern)}
    return FoundModel(place=place, root=root, path=root / model.path, files=tuple(files))


def _refuse_missing(model: PublishedModel) -> None:
    """Raise WeightsMissing for a model of this machine that is not here, because there is nowhere to fetch it from."""
    if model.is_on_this_machine:
        raise WeightsMissing(f"{model.repository} holds no {_missing_in(Path(model.repository), model)}")


def _missing_in(root: Path, model: PublishedModel) -> str | None:
    """The first needed file, or pattern of files, that a folder lacks."""
    return next((pattern for pattern in model.patterns if not _matches(root, pattern)), None)


def _matches(root: Path, pattern: str) -> list[str]:
    """The files of a folder that a name or pattern stands for, from the root; hidden ones are left out."""
    if "*" not in pattern:
        return [pattern] if (root / pattern).is_file() else []
    # Down to the first `*` the pattern names one folder, which may be small in a large repository.
    inside = root / pattern.partition("*")[0].rpartition("/")[0]
    names = (path.relative_to(root).as_posix() for path in sorted(inside.rglob("*")) if path.is_file())
    return [name for name in names if fnmatch(name, pattern) and "/." not in f"/{name}"]


def _looked_at(model: PublishedModel, weights_dir: Path | None) -> str:
    """Where it was looked for, for a message."""
    if weights_dir is None:
        return "BOLID_WEIGHTS_DIR is not set, the Hugging Face cache lacks it"
    folder = weights_dir / model.repository
    return f"{folder} lacks {_missing_in(folder, model)}, the Hugging Face cache lacks it too"


def _refusal(what: str, error: Exception) -> WeightsMissing:
    """What failed, why the hub gave nothing, and the way out."""
    from huggingface_hub import constants, errors

    match error:
        case errors.GatedRepoError():
            reason = "its owner asks you to accept the licence on its page, and to log in by `hf auth login`"
        case errors.RepositoryNotFoundError():
            reason = (
                "the hub knows no such repository, or shows it only to those who log in by `hf auth login`"
            )
        case errors.RevisionNotFoundError():
            reason = "the hub knows no such revision of it; pin another by `bolid models pin --newest`"
        case _ if constants.HF_HUB_OFFLINE:
            reason = "HF_HUB_OFFLINE is set; fetch it by `bolid models fetch` where there is a network"
        case errors.LocalEntryNotFoundError():  # raised because of another error, and of many words
            return HubUnreachable(f"{what}: {constants.ENDPOINT}: {first_words(_first_cause(error))}")
        case _ if type(error).__module__.partition(".")[0] in _HTTP_LIBRARIES:
            return HubUnreachable(f"{what}: {constants.ENDPOINT}: {first_words(error)}")
        case _:
            reason = f"{constants.ENDPOINT}: {first_words(error)}"
    return WeightsMissing(f"{what}: {reason}")


def _first_cause(error: Exception) -> Exception:
    return error.__cause__ if isinstance(error.__cause__, Exception) else error
