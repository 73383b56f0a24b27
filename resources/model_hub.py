"""Where pretrained weights come from: this repository, or the Hugging Face hub at a pinned revision."""

import json
from abc import abstractmethod
from pathlib import Path

import dagster as dg
from pydantic import BaseModel, ConfigDict, ValidationError

from bolid_pipeline.errors import ConfigurationError, WeightsMissing
from bolid_pipeline.latents.config import LatentModels
from bolid_pipeline.pretrained.weights import Weights, WeightsFile
from resources.deployments import Deployment, Role
from resources.embedded_world import needing_bodyworld


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
        folder = Path(self.weights_dir) / _EMBEDDED.get(role, role)
        if not folder.is_dir():
            raise WeightsMissing(f"no weights at {folder}; {_RESTORE}")
        return folder


class HubModels(ModelHub):
    """Published models, each at a pinned commit (names on the hub can change hands), single files by sha256 too."""

    repositories: dict[str, str]
    """Role -> `owner/name` of a whole repository, or `owner/name/path` of a file or folder in it."""
    pins_file: str | None = None
    """JSON: role -> {"revision": 40 hex digits, "sha256": 64 hex digits, for single files}."""

    def file(self, role: Role) -> WeightsFile:
        """Download the role's file unless it is there already."""
        from huggingface_hub import hf_hub_download

        pin = self._pin(role)
        if pin.sha256 is None:
            raise ConfigurationError(f"{self.pins_file} has no sha256 for {role}, which is one file")
        owner, name, filename = self.repositories[role].split("/", 2)
        path = hf_hub_download(f"{owner}/{name}", filename, revision=pin.revision)
        return WeightsFile(path=Path(path), sha256=pin.sha256)

    def folder(self, role: Role) -> Path:
        """Download the role's folder unless it is there already."""
        from huggingface_hub import snapshot_download

        revision = self._pin(role).revision
        owner, name, *inside = self.repositories[role].split("/", 2)
        patterns = [f"{path}/*" for path in inside] or None
        root = Path(snapshot_download(f"{owner}/{name}", revision=revision, allow_patterns=patterns))
        return root.joinpath(*inside)

    def weights(self, role: Role) -> Weights:
        """The role's file if its path ends like that of one, else its folder."""
        return self.file(role) if Path(self.repositories[role]).suffix in _SINGLE_FILES else self.folder(role)

    def _pin(self, role: Role) -> "Pin":
        pins = read_pins(self.pins_file)
        if role not in pins:
            raise ConfigurationError(
                f"the weights of {role} ({self.repositories[role]}) are not pinned; name a JSON file in "
                f'BOLID_WEIGHT_PINS that holds {{"{role}": {{"revision": "<commit on the hub>", '
                f'"sha256": "<of a single file>"}}}}'
            )
        return pins[role]


def model_hub_of(deployment: Deployment) -> ModelHub:
    """Published models, or the embedded ones if the deployment names none."""
    if not deployment.weight_repositories:
        with needing_bodyworld():
            from bodyworld.weights import weights_folder
        return EmbeddedModels(weights_dir=str(weights_folder("clip").parent))
    pins = deployment.weight_pins
    return HubModels(repositories={**deployment.weight_repositories}, pins_file=str(pins) if pins else None)


class Pin(BaseModel):
    """The pinned version of published weights."""

    model_config = ConfigDict(extra="forbid")

    revision: str
    sha256: str | None = None


def read_pins(pins_file: str | None) -> dict[str, Pin]:
    """The pins of a JSON file, by role; none without a file. Raises ConfigurationError."""
    if pins_file is None:
        return {}
    try:
        listed = json.loads(Path(pins_file).read_text("utf-8"))
        return {role: Pin.model_validate(pin) for role, pin in listed.items()}
    except (OSError, ValueError, AttributeError, ValidationError) as error:
        raise ConfigurationError(f"BOLID_WEIGHT_PINS={pins_file} holds no pins: {error}") from error


_SINGLE_FILES = (".safetensors", ".pt", ".pth", ".onnx")
_EMBEDDED = {
    "person_detector": "pose_estimator",
    "captioner": "clip",
    "image_encoder": "base_model/image_encoder",
    "feature_extractor": "base_model/feature_extractor",
}
_RESTORE = "restore it with `git checkout -- bodyworld/weights`, or train it (README.md there)"
