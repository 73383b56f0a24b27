"""BoLID: body identity for text-to-image diffusion, from gallery photos to generated people."""
