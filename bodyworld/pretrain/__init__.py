"""Training of the small networks of bodyworld; run as modules, used by nothing else."""
