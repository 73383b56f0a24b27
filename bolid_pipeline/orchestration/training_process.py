"""One process of a training on several devices; `trainers.py` starts one per device with torchrun.

Only the first one reports to Dagster, by Pipes.
"""

import logging

import torch
from dagster_pipes import open_dagster_pipes
from lightning.fabric.plugins.environments.torchelastic import TorchElasticEnvironment
from torch.distributed.elastic.multiprocessing.errors import record

from bolid_pipeline.orchestration.fitting import fit_checkpoint, open_training_data, start_weights
from resources.environment import current_deployment
from resources.model_hub import model_hub_of
from resources.table_store import data_store_of


@record
def main() -> None:
    """Train the checkpoint of the deployment that the environment names."""
    deployment = current_deployment()
    store, model_hub = data_store_of(deployment), model_hub_of(deployment)
    data = open_training_data(store, model_hub, start_weights(store, model_hub, deployment))
    if TorchElasticEnvironment().global_rank() > 0:
        fit_checkpoint(data, store, model_hub, deployment)
        return
    with open_dagster_pipes() as pipes:
        domain = logging.getLogger("bolid_pipeline")
        domain.setLevel(logging.INFO)
        domain.addHandler(pipes.log.handlers[0])
        fit_checkpoint(data, store, model_hub, deployment)
        pipes.report_asset_materialization(
            metadata={
                "num_processes": torch.distributed.get_world_size(),
                "backend": torch.distributed.get_backend(),
            }
        )


if __name__ == "__main__":
    main()
