"""BoLID's two pipelines, laid out as diffusers lays its own; `models.pipeline` is where to import them from."""
