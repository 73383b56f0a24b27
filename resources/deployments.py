"""The deployments: where photos and weights come from, and how much of everything."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    NonNegativeFloat,
    PlainSerializer,
    PlainValidator,
    PositiveInt,
    WithJsonSchema,
)

from bolid_pipeline.captioning.config import ClipCaptionConfig, VlmConfig
from bolid_pipeline.curation.config import CurationConfig, PeopleConfig
from bolid_pipeline.evaluation import presets as evaluation_presets
from bolid_pipeline.evaluation.config import EvaluationConfig
from bolid_pipeline.latents.config import LatentConfig
from bolid_pipeline.pose.config import PoseConfig
from bolid_pipeline.redaction import split_login
from bolid_pipeline.scraping.config import BODYWORLD_URL, THEPLACE_URL, CrawlConfig
from bolid_pipeline.settings import Field, settings
from bolid_pipeline.storage.location import Location, local_root, locate
from bolid_pipeline.training import presets as training_presets
from bolid_pipeline.training.config import TrainingConfig
from bolid_pipeline.training.presets import PresetName
from resources.source_address import folder_path, source_address

Role = Literal[
    "watermark_classifier",
    "face_detector",
    "person_detector",
    "pose_estimator",
    "captioner",
    "clip",
    "base_model",
    "base_model_layout",
    "image_encoder",
    "feature_extractor",
    "ip_adapter",
    "tiny_autoencoder",
    "few_step_lora",
]
"""The uses of pretrained weights; `base_model_layout` has the configs of a base model that is a single file, and
`few_step_lora` serves `bolid generate --few-steps` alone."""


def _locate(place: Any) -> Location:
    if isinstance(place, Location):
        return place.absolute() if isinstance(place, Path) else place
    if not isinstance(place, str) or not place:
        raise ValueError("it must be a folder, or an address such as s3://bucket/prefix")
    if split_login(place)[1] is not None:
        raise ValueError(
            "an address of data holds no keys: the storage's own variables do, such as AWS_ACCESS_KEY_ID"
        )
    if "://" not in place or place.startswith("file:"):
        return folder_path(place)
    protocol, _, inside = place.partition("://")
    if not inside.strip("/") or protocol in ("http", "https"):
        raise ValueError("an address of data names a bucket that can be written, such as s3://bucket/prefix")
    return locate(place)


DataAddress = Annotated[
    Location,
    PlainValidator(_locate),
    PlainSerializer(str, return_type=str),
    WithJsonSchema({"type": "string"}),
]
Folder = Annotated[Path, AfterValidator(lambda folder: folder_path(str(folder)))]
SourceUrl = Annotated[str, AfterValidator(source_address)]


@settings
class RayConfig:
    """A Ray cluster that stages run on."""

    address: str | None = None
    """`host:6379`; None for a cluster that is started on this machine."""
    gpus_per_actor: NonNegativeFloat = 0.0
    """GPUs of each actor; a fraction puts several models on a GPU."""
    max_actors: PositiveInt | None = None
    """Most actors of a stage; None for as many as there is room for."""


@settings
class Deployment:
    """Everything that differs between a demonstration on a laptop and a data set of hundreds of people."""

    name: str
    """The preset that this deployment began as; it names the folders of checkpoint and report."""
    data_dir: DataAddress
    """Folder or address (`s3://bucket/prefix`) of tables and photos."""
    local_dir: Folder | None = None
    """Folder of checkpoints, reports and the embedded world; None for `data_dir`, which must be a folder then."""
    source_url: SourceUrl | None = None
    """Address of the site, or a folder; None for the embedded world."""
    parsers: str = "bolid_pipeline.scraping.parsers"
    """Module that reads the site's pages."""
    weight_repositories: Mapping[Role, str] = Field(default_factory=dict[Role, str])
    """Role -> `owner/name` on the Hugging Face hub, `owner/name/path` of a part, or the absolute path of your own;
    empty for the embedded models."""
    weight_pins: Folder | None = None
    """JSON file with the revision and hashes of published models, which `bolid models pin` writes; None for
    weight_pins.json in `local_dir`."""
    weights_dir: Folder | None = None
    """Folder that holds published models as `owner/name/...`, where to look before the Hugging Face cache."""
    ray: RayConfig | None = None
    """The cluster that stages run on; None for the run's own process."""
    crawl: CrawlConfig
    """Limits and manners of the crawl."""
    people: PeopleConfig = PeopleConfig()
    """How faces and persons are counted."""
    curation: CurationConfig = CurationConfig()
    """Limits that a photo must meet to be kept."""
    captioner: Annotated[ClipCaptionConfig | VlmConfig, Field(discriminator="kind")] = VlmConfig()
    """The captioner and its settings."""
    pose: PoseConfig = PoseConfig()
    """How the person of a photo is found."""
    latents: LatentConfig = LatentConfig()
    """How a photo becomes latents."""
    training_preset: PresetName = "demo"
    """The settings that `training` changes, chosen by the memory of the GPU; `bolid plan` says which fit."""
    training: TrainingConfig
    """How the branches are trained."""
    evaluation: EvaluationConfig
    """Settings of the report."""

    @property
    def local_root(self) -> Path:
        """The folder of this machine."""
        return local_root(self.data_dir, self.local_dir)

    @property
    def pins_file(self) -> Path:
        """The JSON file of the pins; it need not exist."""
        return self.weight_pins or self.local_root / "weight_pins.json"


_EMBEDDED_FACE_IMAGE_SIZE_PX = 192
_EMBEDDED_POSE_IMAGE_SIZE_PX = 160
"""The size that the embedded detectors were trained at."""
_EMBEDDED_MAX_WATERMARK_PROB = 0.9
"""Chosen on a separate world: the embedded classifier learned from as many marked photos as clean ones."""


def demo(data_dir: Location) -> Deployment:
    """The embedded world and the embedded models: minutes on two CPU cores, no network."""
    return Deployment(
        name="demo",
        data_dir=data_dir,
        crawl=CrawlConfig(
            canonical_url=BODYWORLD_URL,
            min_photos=12,
            requests_per_second=200.0,
            user_agent="BoLID-demo/0.1 (loopback only)",
        ),
        people=PeopleConfig(
            face_conf=0.3,
            person_conf=0.4,
            face_image_size_px=_EMBEDDED_FACE_IMAGE_SIZE_PX,
            person_image_size_px=_EMBEDDED_POSE_IMAGE_SIZE_PX,
        ),
        curation=CurationConfig(min_photos_per_identity=8, max_watermark_prob=_EMBEDDED_MAX_WATERMARK_PROB),
        captioner=ClipCaptionConfig(),
        pose=PoseConfig(image_size_px=_EMBEDDED_POSE_IMAGE_SIZE_PX),
        training=training_presets.demo(),
        evaluation=evaluation_presets.demo(),
    )


def theplace_sd15(data_dir: Location) -> Deployment:
    """The gallery site and Stable Diffusion 1.5, in the thesis' proportions; needs a GPU."""
    return Deployment(
        name="theplace_sd15",
        data_dir=data_dir,
        source_url=THEPLACE_URL,
        weight_repositories={
            **_PUBLISHED,
            "base_model": "stable-diffusion-v1-5/stable-diffusion-v1-5",
            "base_model_layout": "stable-diffusion-v1-5/stable-diffusion-v1-5",
            "ip_adapter": "h94/IP-Adapter/models/ip-adapter_sd15.safetensors",
            "tiny_autoencoder": "madebyollin/taesd",
        },
        crawl=CrawlConfig(
            canonical_url=THEPLACE_URL,
            min_photos=200,
            max_photos_per_identity=600,
            max_identities=500,
        ),
        latents=LatentConfig(resolution_px=512, bucket_multiple_px=64),
        training_preset="sd15_24gb",
        training=training_presets.sd15_24gb(),
        evaluation=evaluation_presets.sd15(),
    )


def theplace_sdxl(data_dir: Location) -> Deployment:
    """As theplace_sd15, on Stable Diffusion XL at 1024 px."""
    sd15 = theplace_sd15(data_dir)
    repositories = {
        **sd15.weight_repositories,
        "base_model": "stabilityai/stable-diffusion-xl-base-1.0",
        "base_model_layout": "stabilityai/stable-diffusion-xl-base-1.0",
        # The one for the same image encoder as SD 1.5's; ip-adapter_sdxl.safetensors needs a larger one.
        "ip_adapter": "h94/IP-Adapter/sdxl_models/ip-adapter_sdxl_vit-h.safetensors",
        "tiny_autoencoder": "madebyollin/taesdxl",
    }
    latents = LatentConfig(resolution_px=1024, bucket_multiple_px=64)
    return replace(
        sd15,
        name="theplace_sdxl",
        weight_repositories=repositories,
        latents=latents,
        training_preset="sdxl_24gb",
        training=training_presets.sdxl_24gb(),
    )


def theplace_sd15_permissive(data_dir: Location) -> Deployment:
    """As theplace_sd15, by models whose licences allow products: none is under AGPL or for research only."""
    return _permissive(theplace_sd15(data_dir))


def theplace_sdxl_permissive(data_dir: Location) -> Deployment:
    """As theplace_sdxl, by models whose licences allow products: none is under AGPL or for research only."""
    return _permissive(theplace_sdxl(data_dir))


def _permissive(preset: Deployment) -> Deployment:
    return replace(
        preset,
        name=f"{preset.name}_permissive",
        weight_repositories={**preset.weight_repositories, **_PERMISSIVE},
        people=replace(preset.people, face_conf=_YUNET_FACE_CONF),
    )


DEPLOYMENTS: dict[str, Callable[[Location], Deployment]] = {
    "demo": demo,
    "theplace_sd15": theplace_sd15,
    "theplace_sdxl": theplace_sdxl,
    "theplace_sd15_permissive": theplace_sd15_permissive,
    "theplace_sdxl_permissive": theplace_sdxl_permissive,
}

_PUBLISHED: dict[Role, str] = {
    "watermark_classifier": "boomb0om/watermark-detectors/convnext-tiny_watermarks_detector.pth",
    "face_detector": "AdamCodd/YOLOv11n-face-detection/model.pt",
    "person_detector": "Ultralytics/YOLO11/yolo11n-pose.pt",
    "pose_estimator": "Ultralytics/YOLO11/yolo11n-pose.pt",
    "captioner": "Qwen/Qwen2.5-VL-3B-Instruct",
    "clip": "openai/clip-vit-large-patch14",
    "image_encoder": "h94/IP-Adapter/models/image_encoder",
    "feature_extractor": "stable-diffusion-v1-5/stable-diffusion-v1-5/feature_extractor",
}

_PERMISSIVE: dict[Role, str] = {
    "face_detector": "opencv/face_detection_yunet/face_detection_yunet_2023mar.onnx",
    "person_detector": "PekingU/rtdetr_r50vd",
    "pose_estimator": "usyd-community/vitpose-base-simple",
    "captioner": "Qwen/Qwen3-VL-4B-Instruct",
}
"""In place of the models that are under AGPL or for research only."""
_YUNET_FACE_CONF = 0.9
"""What OpenCV asks of a face by default."""
