"""What a checkpoint can do: numbers on held-out photos, pictures with and without identity, one report."""
