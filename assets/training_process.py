"""The training on several devices, as the asset `bolid_checkpoint` starts it: `python -m assets.training_process`.

Lightning starts this module again for every further device; only the first process talks to Dagster. On several
machines it must be started on each, with the variables that `torchrun` sets.
"""

import logging
from contextlib import nullcontext

from dagster_pipes import open_dagster_pipes
from lightning.pytorch.utilities import rank_zero_only

from assets.training import fit_checkpoint
from resources.deployments import current_deployment
from resources.model_hub import model_hub_of
from resources.table_store import data_store_of


def main() -> None:
    """Train the checkpoint of the deployment that the environment names."""
    logging.basicConfig(level=logging.INFO)
    deployment = current_deployment()
    store = data_store_of(deployment)
    with rank_zero_only(open_dagster_pipes)() or nullcontext():
        fit_checkpoint(store, model_hub_of(deployment), deployment)


if __name__ == "__main__":
    main()
