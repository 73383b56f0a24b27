"""Where pretrained weights come from: this repository, or published models at pinned versions."""

from abc import abstractmethod
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import dagster as dg

from bolid_pipeline.errors import ConfigurationError, WeightsMissing
from bolid_pipeline.latents.config import LatentModels
from bolid_pipeline.pretrained.hub import FoundModel, find, find_or_fetch
from bolid_pipeline.pretrained.pins import Pin, pin_of, read_pins
from bolid_pipeline.pretrained.published import PublishedModel
from bolid_pipeline.pretrained.weights import Weights, WeightsFile, file_sha256, verify
from resources.deployments import Deployment, Role
from resources.embedded_world import needing_bodyworld
from resources.published_models import OWN_LICENCE, published_model


class ListedModel(NamedTuple):
    """What is known of the model of a role."""

    role: str
    model: PublishedModel
    pin: Pin
    found: FoundModel | None
    """None if it is not on this machine."""


class ModelHub(dg.ConfigurableResource["ModelHub"]):
    """Pretrained weights by role."""

    @abstractmethod
    def file(self, role: Role) -> WeightsFile:
        """The one file of weights of a role. Raises WeightsMissing, ConfigurationError."""

    @abstractmethod
    def folder(self, role: Role) -> Path:
        """The model folder of a role, as `save_pretrained` lays it out.

        Raises:
            WeightsMissing, ConfigurationError.
        """

    @abstractmethod
    def weights(self, role: Role) -> Weights:
        """The file or folder of a role whose models come as either. Raises WeightsMissing, ConfigurationError."""

    @abstractmethod
    def listed(self) -> list[ListedModel]:
        """Every model, and where it was found. Asks nobody. Raises ConfigurationError."""

    def latent_models(self) -> LatentModels:
        """The models that make latents: the base model's VAE and the reference branch's image encoder."""
        return LatentModels(
            vae=self.folder("base_model") / "vae",
            image_encoder=self.folder("image_encoder"),
            feature_extractor=self.folder("feature_extractor"),
        )


class EmbeddedModels(ModelHub):
    """The small models that travel with this repository; captions are CLIP's."""

    weights_dir: str
    """Folder that holds a folder for each role."""

    def file(self, role: Role) -> WeightsFile:
        """The only safetensors file of the role's folder."""
        files = sorted(self.folder(role).glob("*.safetensors"))
        if len(files) != 1:
            raise WeightsMissing(
                f"{self.folder(role)} holds {len(files)} safetensors files, not one; {_RESTORE}"
            )
        return WeightsFile(path=files[0])

    def weights(self, role: Role) -> WeightsFile:
        """The role's file: the embedded detectors are YOLO networks."""
        return self.file(role)

    def folder(self, role: Role) -> Path:
        """The role's folder."""
        if role == "few_step_lora":
            raise WeightsMissing("the embedded base model has no few-step LoRA: leave out --few-steps")
        folder = Path(self.weights_dir) / _EMBEDDED.get(role, role)
        if not folder.is_dir():
            raise WeightsMissing(f"no weights at {folder}; {_RESTORE}")
        return folder

    def listed(self) -> list[ListedModel]:
        """The folders that are there."""
        folders = sorted(folder for folder in Path(self.weights_dir).glob("[!_]*") if folder.is_dir())
        models = [PublishedModel(address=str(folder.absolute()), licence=OWN_LICENCE) for folder in folders]
        return [
            ListedModel(Path(model.address).name, model, Pin(), find(model, None, None)) for model in models
        ]


class PublishedModels(ModelHub):
    """Models from a folder of weights, the Hugging Face cache, or the hub, each at a pinned commit."""

    addresses: dict[str, str]
    """Role -> address, see `PublishedModel`."""
    pins_file: str
    """JSON file of `bolid_pipeline.pretrained.pins`; it need not exist."""
    weights_dir: str | None = None
    """Folder that holds `owner/name/...` as on the hub, where to look first."""
    unpacked_dir: str | None = None
    """Folder for base models that are published as a single file, unpacked; None refuses them."""

    def file(self, role: Role) -> WeightsFile:
        """The role's file, with its sha256 if that is known."""
        model, pin = self.model(role), self.pin(role)
        if not model.is_file:
            raise ConfigurationError(f"the model of {role} is one file, but {model.address} is a folder")
        return WeightsFile(path=self._found(role).path, sha256=pin.sha256.get(model.path))

    def folder(self, role: Role) -> Path:
        """The role's folder. A base model of one file is unpacked at its first use."""
        model = self.model(role)
        if model.is_file and role == "base_model" and self.unpacked_dir is not None:
            return self._unpacked(verify(self.file(role)), Path(self.unpacked_dir))
        if model.is_file:
            raise ConfigurationError(f"the model of {role} is a folder, but {model.address} is one file")
        return self._found(role).path

    def weights(self, role: Role) -> Weights:
        """The role's file if its address is that of one, else its folder."""
        return self.file(role) if self.model(role).is_file else self.folder(role)

    def model(self, role: str) -> PublishedModel:
        """What is known of the role's model. Raises ConfigurationError."""
        if role not in self.addresses:
            known = ", ".join(self.addresses)
            raise ConfigurationError(
                f"this deployment names no model for {role!r}, only for {known}: set weight_repositories.{role}"
            )
        model = published_model(self.addresses[role])
        return replace(model, files=_LAYOUT_FILES) if role == "base_model_layout" else model

    def pin(self, role: str) -> Pin:
        """Which version the role's model must be. Raises ConfigurationError."""
        return pin_of(self.model(role), read_pins(Path(self.pins_file)))

    def listed(self) -> list[ListedModel]:
        """The models of all roles."""
        found = [
            find(self.model(role), self.pin(role).revision, self.weights_folder) for role in self.addresses
        ]
        return [
            ListedModel(role, self.model(role), self.pin(role), each)
            for role, each in zip(self.addresses, found, strict=True)
        ]

    def _unpacked(self, file: Path, folder: Path) -> Path:
        from bolid_pipeline.models.single_file import unpack_single_file

        version = file_sha256(file)[:12]
        return unpack_single_file(file, self.folder("base_model_layout"), folder / f"{file.stem}-{version}")

    def _found(self, role: Role) -> FoundModel:
        return find_or_fetch(self.model(role), self.pin(role), self.weights_folder)

    @property
    def weights_folder(self) -> Path | None:
        """The folder where to look first."""
        return Path(self.weights_dir) if self.weights_dir else None


def model_hub_of(deployment: Deployment) -> ModelHub:
    """Published models, or the embedded ones if the deployment names none."""
    if not deployment.weight_repositories:
        with needing_bodyworld():
            from bodyworld.weights import weights_folder
        return EmbeddedModels(weights_dir=str(weights_folder("clip").parent))
    weights_dir = deployment.weights_dir
    return PublishedModels(
        addresses={**deployment.weight_repositories},
        pins_file=str(deployment.pins_file),
        weights_dir=str(weights_dir) if weights_dir else None,
        unpacked_dir=str(deployment.local_root / "base_models"),
    )


_LAYOUT_FILES = ("model_index.json", "*/*.json", "*/merges.txt")
"""Of a base model's folder: the configs and the tokenizers, without weights."""
_EMBEDDED = {
    "person_detector": "pose_estimator",
    "captioner": "clip",
    "image_encoder": "base_model/image_encoder",
    "feature_extractor": "base_model/feature_extractor",
}
_RESTORE = "restore it with `git checkout -- bodyworld/weights`, or train it (README.md there)"
