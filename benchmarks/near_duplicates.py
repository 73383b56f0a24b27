"""Seconds of processor time that the search for near duplicates takes, by the number of photos.

    uv run python benchmarks/near_duplicates.py [--photos 600 5000 20000] [--per-person 600]

Random hashes, of which none are near: what the search costs, not what it finds. Every pair is looked at, so that
ten times the photos take a hundred times as long.
"""

import argparse
import time

import numpy as np

from bolid_pipeline.curation.near_duplicates import cluster


def main() -> None:
    """Print one line per number of photos."""
    arguments = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    arguments.add_argument("--photos", type=int, nargs="+", default=[600, 5000, 20_000])
    arguments.add_argument("--per-person", type=int, default=600)
    options = arguments.parse_args()
    for num_photos in options.photos:
        draw = np.random.default_rng(num_photos)
        photos = [
            {
                "photo_id": f"{number:08d}",
                "identity": f"person_{number // options.per_person:04d}",
                "perceptual_hash": draw.bytes(32).hex(),
                "mirrored_hash": draw.bytes(32).hex(),
            }
            for number in range(num_photos)
        ]
        started = time.process_time()
        num_clusters = len({row["cluster_id"] for row in cluster(photos, set())})
        seconds = time.process_time() - started
        print(f"{num_photos} photos, {num_clusters} clusters: {seconds:.2f} s")


if __name__ == "__main__":
    main()
