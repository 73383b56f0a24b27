"""The people of the synthetic world, their photos, and what is true of each photo."""
