"""Where does a body latent show who the person is? Retrieval of people by simple features of the cached latents.

    uv run --env-file .env python benchmarks/body_encoder_inputs.py      # reads the deployment's table `latents`

Each person's photos are halved at random: the mean of one half is looked up among the means of the others' halves, and
so is every single photo. 10 splits. No network is trained. This is why the body encoder reads views at the keypoints.
"""

import numpy as np
import torch
from torch.nn import functional as F

from bolid_pipeline.latents.cache import LatentTable, open_latents
from bolid_pipeline.storage.tables import TableStore
from resources.environment import current_deployment
from resources.model_hub import model_hub_of

NUM_SPLITS = 10


def at_keypoints(table: LatentTable, latent_of) -> torch.Tensor:  # noqa: ANN001 - one of the table's two methods
    """(R, 17, C): a latent at its keypoints."""
    keypoints = torch.from_numpy(table.keypoints.astype(np.float32))
    samples: list[torch.Tensor] = []
    for row in range(len(table)):
        latent_1CHW = torch.from_numpy(latent_of(row).astype(np.float32))[None]
        places_11K2 = (2 * keypoints[row, :, :2] - 1)[None, None]
        samples.append(
            F.grid_sample(latent_1CHW, places_11K2, align_corners=False, padding_mode="border")[0, :, 0].T
        )
    return torch.stack(samples)


def on_grid(table: LatentTable, side: int = 16) -> torch.Tensor:
    """(R, 1, C * side * side): the whole body latent."""
    latents = [torch.from_numpy(table.body_latent(row).astype(np.float32)) for row in range(len(table))]
    return torch.stack([F.adaptive_avg_pool2d(latent, side).flatten() for latent in latents])[:, None]


def retrieval(
    features_RKF: torch.Tensor, weights_RK: torch.Tensor, identities: np.ndarray
) -> tuple[float, float]:
    """Top-1 of means of half the photos, and of single photos."""
    total_K1 = weights_RK.sum(0)[:, None].clamp_min(1e-6)
    mean_KF = (features_RKF * weights_RK[..., None]).sum(0) / total_K1
    std_KF = ((features_RKF - mean_KF).square() * weights_RK[..., None]).sum(0).div(total_K1).sqrt() + 1e-6
    scaled_RKF = (features_RKF - mean_KF) / std_KF

    def mean_of(rows: np.ndarray) -> torch.Tensor:
        weights_NK1 = weights_RK[rows][..., None]
        return (scaled_RKF[rows] * weights_NK1).sum(0) / weights_NK1.sum(0).clamp_min(1e-6)

    people = sorted(set(identities))
    of_means: list[float] = []
    of_singles: list[float] = []
    for seed in range(NUM_SPLITS):
        rng = np.random.default_rng(seed)
        halves = [
            np.array_split(rng.permutation(np.flatnonzero(identities == person)), 2) for person in people
        ]
        bank_PKF = torch.stack([mean_of(first) for first, _ in halves])
        query_PKF = torch.stack([mean_of(second) for _, second in halves])
        distance_PP = torch.cdist(query_PKF.flatten(1), bank_PKF.flatten(1))
        of_means.append(float((distance_PP.argmin(1) == torch.arange(len(people))).float().mean()))
        for number, (_, second) in enumerate(halves):
            weights_N1K1 = weights_RK[second][:, None, :, None]
            distance_NP = ((scaled_RKF[second][:, None] - bank_PKF) * weights_N1K1).square().sum((-1, -2))
            of_singles += (distance_NP.argmin(1) == number).tolist()
    return float(np.mean(of_means)), float(np.mean(of_singles))


def main() -> None:
    """Print one line for each kind of feature."""
    deployment = current_deployment()
    table = open_latents(TableStore(deployment.data_dir), model_hub_of(deployment).latent_models())
    identities = np.array(table.identities)
    everywhere_R1 = torch.ones(len(table), 1)
    confidence_RK = torch.from_numpy(table.keypoints[:, :, 2].astype(np.float32)).clamp(0, 1)
    print(f"{len(table)} photos of {len(set(identities))} people; chance {1 / len(set(identities)):.3f}")
    print(f"{'feature':32} {'mean of half':>12} {'one photo':>10}")
    for name, features, weights in (
        ("weighted latent, whole grid", on_grid(table), everywhere_R1),
        ("plain latent at the keypoints", at_keypoints(table, table.latent), confidence_RK),
        ("weighted latent at the keypoints", at_keypoints(table, table.body_latent), confidence_RK),
        (
            "CLIP image embedding",
            torch.from_numpy(table.image_embeds(np.arange(len(table))).astype(np.float32))[:, None],
            everywhere_R1,
        ),
    ):
        of_means, of_singles = retrieval(features, weights, identities)
        print(f"{name:32} {of_means:12.3f} {of_singles:10.3f}")


if __name__ == "__main__":
    main()
