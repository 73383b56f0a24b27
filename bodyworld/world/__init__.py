"""The people of the synthetic world, their photos, and the ground truth of each photo."""
