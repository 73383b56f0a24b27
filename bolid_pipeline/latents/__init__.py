"""The latent cache: weighting by keypoints, aspect buckets, the VAE, the table that training reads."""
