"""A synthetic world of photographed people with ground truth, small enough for a laptop. See README.md."""
