"""The terms of the objective, one a file; each returns its raw, unweighted size."""
