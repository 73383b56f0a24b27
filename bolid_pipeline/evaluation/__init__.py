"""Evaluation of a checkpoint: numbers on held-out photos, pictures with and without identity, one report."""
