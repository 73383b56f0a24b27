"""How runs are executed: the run launcher, trainer processes, and settings for one run. Imports Dagster."""
