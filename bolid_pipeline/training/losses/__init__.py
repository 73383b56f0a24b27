"""The terms of the objective, one per file; each returns its raw, unweighted size."""
