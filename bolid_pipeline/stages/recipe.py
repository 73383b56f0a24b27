"""The parts of a stage: a recipe, which can be pickled without torch, and the step over photos that it opens.

A new stage is two small files. `recipe.py` says which table it fills and what its rows depend on:

    @dataclass(frozen=True, kw_only=True)
    class PoseRecipe(Recipe):
        table = "poses"
        code_version = "1"
        weights: WeightsFile
        config: PoseConfig

        def open(self, photos: PhotoStore, device: str) -> PhotoStage[Any]:
            from bolid_pipeline.pose.estimator import PoseStage

            return PoseStage(self, photos, device)

The other one holds the stage, with its model: `read` and `compute`.
"""

import hashlib
import json
from abc import ABC, abstractmethod
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, ClassVar, Generic, TypeVar

import pyarrow as pa

from bolid_pipeline.pretrained.weights import WeightsFile, file_sha256, folder_sha256
from bolid_pipeline.settings import to_json
from bolid_pipeline.storage.photos import PhotoStore
from bolid_pipeline.storage.schemas import SCHEMAS, without_fingerprints

Read = TypeVar("Read")


class PhotoStage(ABC, Generic[Read]):
    """A step over photos, in two halves that can overlap. It loads its model when it is made."""

    def __call__(self, photos: pa.Table) -> pa.Table:
        """The rows for a batch of photos."""
        return self.compute(photos, [self.read(photo) for photo in photos.to_pylist()])

    @abstractmethod
    def read(self, photo: dict[str, Any]) -> Read:
        """The input of the model for a photo, given its row: decoded, cut and scaled. Runs in several threads at once.

        Everything that a photo costs the processor belongs here; while `compute` works, the device waits for it.
        """

    @abstractmethod
    def compute(self, photos: pa.Table, read: list[Read]) -> pa.Table:
        """The rows, by the model: the recipe's `made_columns`, at most one row per photo, order kept.

        A batch that does not fit in the device's memory is computed again in halves.
        """


@dataclass(frozen=True, kw_only=True)
class Recipe(ABC):
    """The description of a stage: the table that it fills, its ingredients, and how its model is opened.

    Its fields are what a row depends on: weights (a `WeightsFile`, or a `Path` of a model folder), settings, and
    whatever else JSON can hold. A row is made again when its fingerprint differs from the recipe's.
    """

    table: ClassVar[str]
    code_version: ClassVar[str]
    """Raised when the code makes other rows from the same fields."""
    fingerprint_column: ClassVar[str] = "model_fingerprint"
    """The column that says what made a row."""
    copied_columns: ClassVar[tuple[str, ...]] = ()
    """Columns that are copied from the photos' rows. Where a photo's value changes, it alone is written again."""
    is_update: ClassVar[bool] = False
    """True where the stage makes only some columns of rows that are there already, and no new rows."""

    @abstractmethod
    def open(self, photos: PhotoStore, device: str) -> PhotoStage[Any]:
        """Load the stage's model onto `device` (`cpu` or `cuda`). Raises WeightsMissing, WeightsMismatch."""

    @property
    def ingredients(self) -> dict[str, Any]:
        """Everything but the code that a row depends on, as JSON: sha256 for weights, fields for settings."""
        return {field.name: _ingredient(getattr(self, field.name)) for field in fields(self)}

    @property
    def fingerprint(self) -> str:
        """16 hex digits that change with the code version, the weights or the settings. Raises WeightsMissing."""
        return fingerprint(table=self.table, code_version=self.code_version, **self.ingredients)

    @property
    def fingerprints(self) -> dict[str, str]:
        """Column -> fingerprint, for every row that the stage makes."""
        return {self.fingerprint_column: self.fingerprint}

    @property
    def table_columns(self) -> pa.Schema:
        """All columns of the table."""
        return SCHEMAS[self.table].columns

    @property
    def made_columns(self) -> pa.Schema:
        """The columns that the stage makes; fingerprints are added when its rows are committed."""
        return without_fingerprints(self.table_columns)


def fingerprint(**parts: Any) -> str:
    """16 hex digits for a set of named values.

    Args:
        parts: anything JSON can hold. Order does not matter, names and values do.
    """
    canonical = json.dumps(parts, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(canonical.encode()).hexdigest()[:16]


def _ingredient(value: Any) -> Any:
    match value:
        case WeightsFile():
            return file_sha256(value.path)
        case Path():
            return folder_sha256(value)
        case _:
            return to_json(value)
