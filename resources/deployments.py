"""The deployments: where photos and weights come from, how much of everything. The environment is read here only.

| variable | meaning | default |
|---|---|---|
| BOLID_DEPLOYMENT | one of the functions in DEPLOYMENTS | demo |
| BOLID_DATA_DIR | folder or address (`s3://bucket/prefix`) of tables and photos | ./data |
| BOLID_LOCAL_DIR | folder of this machine for checkpoints, reports and the embedded world | BOLID_DATA_DIR, or ./data |
| BOLID_SOURCE_URL | a mirror or stand-in of the site, another site, or one's own `file:///folder` | the site's |
| BOLID_SITE_PARSERS | module that reads the pages of another site, see docs/crawling.md | theplace's |
| BOLID_WEIGHT_PINS | JSON file with revision and sha256 of each published model | none |
| BOLID_COMPUTE | where stages run: `local` or `ray` | local |
| RAY_ADDRESS | of the Ray cluster, `host:6379` | one that is started on this machine |
| BOLID_RAY_GPUS | GPUs of each of Ray's actors; a fraction puts several on a GPU | 0 |
| BOLID_RAY_ACTORS | the most actors of a stage | as many as there is room for |
| BOLID_TRAINING | JSON: settings of the training other than the deployment's, `{"hardware": {"num_nodes": 2}}` | {} |
| BOLID_DEVICES | devices of each machine that a training uses: short for `{"hardware": {"devices": ...}}` | 1 |
| HTTPS_PROXY | proxy that the crawler goes through | none |
"""

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from urllib.parse import urlsplit

from bolid_pipeline.captioning.config import ClipCaptionConfig, VlmConfig
from bolid_pipeline.curation.config import CurationConfig, PeopleConfig
from bolid_pipeline.errors import ConfigurationError
from bolid_pipeline.evaluation import presets as evaluation_presets
from bolid_pipeline.evaluation.config import EvaluationConfig
from bolid_pipeline.latents.config import LatentConfig
from bolid_pipeline.pose.config import PoseConfig
from bolid_pipeline.scraping.config import BODYWORLD_URL, THEPLACE_URL, CrawlConfig
from bolid_pipeline.scraping.forgotten import forgotten_identities
from bolid_pipeline.settings import override, to_json
from bolid_pipeline.storage.location import Location, local_root, locate
from bolid_pipeline.training import presets as training_presets
from bolid_pipeline.training.config import TrainingConfig


@dataclass(frozen=True, kw_only=True)
class RayConfig:
    """A Ray cluster that stages run on."""

    address: str | None = None
    """`host:6379`; None for a cluster that is started on this machine."""
    gpus_per_actor: float = 0.0
    """May be a fraction, for several models on a GPU."""
    max_actors: int | None = None
    """Of a stage; None for as many as there is room for."""


@dataclass(frozen=True, kw_only=True)
class Deployment:
    """Everything that differs between a demonstration on a laptop and a data set of hundreds of people."""

    name: str
    data_dir: Location
    """Folder or address of tables and photos."""
    local_dir: Path | None = None
    """Folder of checkpoints, reports and the embedded world; None for `data_dir`, which must be a folder then."""
    source_url: str | None = None
    """Address of the site, or of a folder (`file:///...`); None for the embedded world."""
    ray: RayConfig | None = None
    """The cluster that stages run on; None for the run's own process."""
    parsers: str = "bolid_pipeline.scraping.parsers"
    """Module that reads the site's pages."""
    weight_repositories: Mapping[str, str] = field(default_factory=dict[str, str])
    """Role -> model on the Hugging Face hub; empty for the embedded models."""
    weight_pins: Path | None = None
    """JSON file that says which versions of the published models are meant."""
    crawl: CrawlConfig
    people: PeopleConfig = field(default_factory=PeopleConfig)
    curation: CurationConfig = field(default_factory=CurationConfig)
    captioner: ClipCaptionConfig | VlmConfig = field(default_factory=VlmConfig)
    pose: PoseConfig = field(default_factory=PoseConfig)
    latents: LatentConfig = field(default_factory=LatentConfig)
    training: TrainingConfig
    evaluation: EvaluationConfig

    @property
    def local_root(self) -> Path:
        """The folder of this machine."""
        return local_root(self.data_dir, self.local_dir)


_LOOPBACK = ("localhost", "127.0.0.1", "::1")
_EMBEDDED_FACE_IMAGE_SIZE_PX = 192
_EMBEDDED_POSE_IMAGE_SIZE_PX = 160
"""What the embedded detectors were trained at."""
_EMBEDDED_MAX_WATERMARK_PROB = 0.9
"""Chosen on a world of its own: the embedded classifier learned from as many marked photos as clean ones."""


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
    """The gallery site and Stable Diffusion 1.5, in the thesis' proportions; needs a GPU and pinned weights."""
    return Deployment(
        name="theplace_sd15",
        data_dir=data_dir,
        source_url=THEPLACE_URL,
        weight_repositories={**_PUBLISHED, "base_model": "stable-diffusion-v1-5/stable-diffusion-v1-5"},
        crawl=CrawlConfig(
            canonical_url=THEPLACE_URL,
            min_photos=200,
            max_photos_per_identity=600,
            max_identities=500,
            requests_per_second=5.0,
        ),
        latents=LatentConfig(resolution_px=512, bucket_multiple_px=64),
        training=training_presets.sd15(),
        evaluation=evaluation_presets.sd15(),
    )


def theplace_sdxl(data_dir: Location) -> Deployment:
    """As theplace_sd15, on Stable Diffusion XL at 1024 px."""
    sd15 = theplace_sd15(data_dir)
    repositories = {**sd15.weight_repositories, "base_model": "stabilityai/stable-diffusion-xl-base-1.0"}
    latents = LatentConfig(resolution_px=1024, bucket_multiple_px=64)
    return replace(
        sd15,
        name="theplace_sdxl",
        weight_repositories=repositories,
        latents=latents,
        training=training_presets.sdxl(),
    )


DEPLOYMENTS: dict[str, Callable[[Location], Deployment]] = {
    "demo": demo,
    "theplace_sd15": theplace_sd15,
    "theplace_sdxl": theplace_sdxl,
}

_PUBLISHED = {
    "watermark_classifier": "boomb0om/watermark-detectors/convnext-tiny_watermarks_detector.pth",
    "face_detector": "AdamCodd/YOLOv11n-face-detection/model.pt",
    "pose_estimator": "Ultralytics/YOLO11/yolo11n-pose.pt",
    "captioner": "Qwen/Qwen2.5-VL-3B-Instruct",
    "clip": "openai/clip-vit-large-patch14",
    "image_encoder": "h94/IP-Adapter/models/image_encoder",
    "feature_extractor": "stable-diffusion-v1-5/stable-diffusion-v1-5/feature_extractor",
}


def current_deployment(environment: Mapping[str, str] = os.environ) -> Deployment:
    """The deployment that the environment asks for. Raises ConfigurationError where it is unknown."""
    name = environment.get("BOLID_DEPLOYMENT", "demo")
    if name not in DEPLOYMENTS:
        raise ConfigurationError(f"BOLID_DEPLOYMENT is {name!r}; known deployments: {', '.join(DEPLOYMENTS)}")
    deployment = DEPLOYMENTS[name](_data_dir(environment))
    pins = environment.get("BOLID_WEIGHT_PINS")
    source_url = environment.get("BOLID_SOURCE_URL", deployment.source_url)
    return replace(
        deployment,
        local_dir=_local_dir(environment),
        ray=_ray(environment),
        training=_training(deployment.training, environment),
        source_url=source_url,
        parsers=environment.get("BOLID_SITE_PARSERS", deployment.parsers),
        weight_pins=Path(pins) if pins else None,
        crawl=_crawl(deployment, source_url, environment),
    )


def environment_of(deployment: Deployment) -> dict[str, str]:
    """Variables for a process that is to train what this one would; it inherits the others."""
    return {
        "BOLID_DEPLOYMENT": deployment.name,
        "BOLID_DATA_DIR": str(deployment.data_dir),
        "BOLID_LOCAL_DIR": str(deployment.local_root),
        "BOLID_DEVICES": str(deployment.training.hardware.devices),
        "BOLID_TRAINING": json.dumps(to_json(deployment.training)),
    }


def _training(preset: TrainingConfig, environment: Mapping[str, str]) -> TrainingConfig:
    """The preset with what the environment says otherwise."""
    text, devices = environment.get("BOLID_TRAINING", "{}"), environment.get("BOLID_DEVICES")
    if devices is not None and not devices.isdecimal():
        raise ConfigurationError(f"BOLID_DEVICES is {devices!r}, not a number of devices")
    try:
        changes = json.loads(text)
    except ValueError as error:
        raise ConfigurationError(f"BOLID_TRAINING is {text!r}, no JSON: {error}") from error
    if not isinstance(changes, dict):
        raise ConfigurationError(f"BOLID_TRAINING is {text!r}, no JSON object of settings")
    changed = override(preset, changes, source="BOLID_TRAINING")
    if devices is None:
        return changed
    return override(changed, {"hardware": {"devices": int(devices)}}, source="BOLID_DEVICES")


def _data_dir(environment: Mapping[str, str]) -> Location:
    place = locate(environment.get("BOLID_DATA_DIR", "data"))
    return place.absolute() if isinstance(place, Path) else place


def _local_dir(environment: Mapping[str, str]) -> Path | None:
    """A folder of this machine that was named, or must be since the data are not on this machine."""
    is_away = not isinstance(_data_dir(environment), Path)
    folder = environment.get("BOLID_LOCAL_DIR", "data" if is_away else None)
    return Path(folder).absolute() if folder else None


def _ray(environment: Mapping[str, str]) -> RayConfig | None:
    engine = environment.get("BOLID_COMPUTE", "local")
    if engine not in ("local", "ray"):
        raise ConfigurationError(f"BOLID_COMPUTE is {engine!r}; it is one of: local, ray")
    if engine == "local":
        return None
    gpus = environment.get("BOLID_RAY_GPUS", "0")
    if not gpus.replace(".", "", 1).isdecimal():
        raise ConfigurationError(f"BOLID_RAY_GPUS is {gpus!r}, not a number of GPUs")
    return RayConfig(
        address=environment.get("RAY_ADDRESS"),
        gpus_per_actor=float(gpus),
        max_actors=_max_actors(environment),
    )


def _max_actors(environment: Mapping[str, str]) -> int | None:
    number = environment.get("BOLID_RAY_ACTORS")
    if number is not None and not number.isdecimal():
        raise ConfigurationError(f"BOLID_RAY_ACTORS is {number!r}, not a number of actors")
    return None if number is None else int(number)


def _crawl(deployment: Deployment, source_url: str | None, environment: Mapping[str, str]) -> CrawlConfig:
    """The deployment's crawl, at the address that answers and without the people who asked to be forgotten.

    Object storage is not asked for them here: it may be out of reach of who only looks at the graph. The crawl does.
    """
    is_here = isinstance(deployment.data_dir, Path)
    is_folder = source_url is not None and urlsplit(source_url).scheme == "file"
    is_local = is_folder or source_url is None or urlsplit(source_url).hostname in _LOOPBACK
    return replace(
        deployment.crawl,
        base_url=deployment.crawl.base_url if is_folder else source_url or deployment.crawl.base_url,
        canonical_url=None if "BOLID_SITE_PARSERS" in environment else deployment.crawl.canonical_url,
        proxy_url=None if is_local else environment.get("HTTPS_PROXY"),
        excluded_identities=forgotten_identities(deployment.data_dir) if is_here else frozenset(),
    )
