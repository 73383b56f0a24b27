"""The published models that deployments use: the one place that knows their licences, files and hashes.

A deployment names them by address (`Deployment.weight_repositories`). Add a model here together with its licence; a
revision or a hash only with the source that it was read from. docs/licences.md is written from this list.
"""

from bolid_pipeline.pretrained.published import Licence, PublishedModel

APACHE = Licence(
    name="Apache-2.0", allows_products=True, conditions="Keep its notices; say what you have changed."
)
MIT = Licence(name="MIT", allows_products=True, conditions="Keep its notice.")
AGPL = Licence(
    name="AGPL-3.0",
    allows_products=False,
    conditions="A product or service that uses it must be AGPL itself; else Ultralytics sells a licence.",
)
OPENRAIL_M = Licence(
    name="CreativeML OpenRAIL-M",
    allows_products=True,
    conditions="Its list of forbidden uses binds you, and whoever you pass the model or its descendants to.",
)
OPENRAIL_PP_M = Licence(
    name="CreativeML Open RAIL++-M", allows_products=True, conditions=OPENRAIL_M.conditions
)
QWEN_RESEARCH = Licence(
    name="Qwen Research License", allows_products=False, conditions="For research and evaluation only."
)

_SD15 = "stable-diffusion-v1-5/stable-diffusion-v1-5"
_SDXL = "stabilityai/stable-diffusion-xl-base-1.0"
_DIFFUSERS_PARTS = ("model_index.json", "scheduler/*.json", "unet/config.json", "vae/config.json")
_TOKENIZER = ("merges.txt", "special_tokens_map.json", "tokenizer_config.json", "vocab.json")

_MODELS = (
    PublishedModel(
        address=f"{_SD15}",
        files=(
            *_DIFFUSERS_PARTS,
            *(f"tokenizer/{name}" for name in _TOKENIZER),
            "text_encoder/config.json",
            "text_encoder/model.safetensors",
            "unet/diffusion_pytorch_model.safetensors",
            "vae/diffusion_pytorch_model.safetensors",
        ),
        licence=OPENRAIL_M,
    ),
    PublishedModel(
        address=f"{_SD15}/feature_extractor", files=("preprocessor_config.json",), licence=OPENRAIL_M
    ),
    PublishedModel(
        address=_SDXL,
        files=(
            *_DIFFUSERS_PARTS,
            *(f"{folder}/{name}" for folder in ("tokenizer", "tokenizer_2") for name in _TOKENIZER),
            "text_encoder/config.json",
            "text_encoder/model.safetensors",
            "text_encoder_2/config.json",
            "text_encoder_2/model.safetensors",
            "unet/diffusion_pytorch_model.safetensors",
            "vae/diffusion_pytorch_model.safetensors",
        ),
        licence=OPENRAIL_PP_M,
    ),
    PublishedModel(
        address="h94/IP-Adapter/models/image_encoder",
        files=("config.json", "model.safetensors"),
        licence=APACHE,
    ),
    PublishedModel(address="h94/IP-Adapter/models/ip-adapter_sd15.safetensors", licence=APACHE),
    PublishedModel(address="h94/IP-Adapter/sdxl_models/ip-adapter_sdxl_vit-h.safetensors", licence=APACHE),
    PublishedModel(address="boomb0om/watermark-detectors/convnext-tiny_watermarks_detector.pth"),
    PublishedModel(address="AdamCodd/YOLOv11n-face-detection/model.pt", licence=AGPL),
    PublishedModel(address="Ultralytics/YOLO11/yolo11n-pose.pt", licence=AGPL),
    PublishedModel(
        address="Qwen/Qwen2.5-VL-3B-Instruct",
        files=("*.json", "merges.txt", "model-*.safetensors"),
        licence=QWEN_RESEARCH,
    ),
    PublishedModel(
        address="openai/clip-vit-large-patch14",
        files=("*.json", "merges.txt", "model.safetensors"),
        licence=MIT,
    ),
)

PUBLISHED = {model.address: model for model in _MODELS}
"""Address -> model."""


def published_model(address: str) -> PublishedModel:
    """The model of an address; of one that is not in the list, all files are needed and nothing else is known."""
    return PUBLISHED.get(address) or PublishedModel(address=address)
