"""How runs are executed: the executor, the run launcher, and trainer processes. Imports Dagster."""
