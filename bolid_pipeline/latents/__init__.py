"""The latent cache: keypoint weighting, aspect buckets, the VAE, and the table that training reads."""
