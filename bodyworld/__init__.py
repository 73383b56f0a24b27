"""A synthetic world of people with ground truth, small enough for a laptop."""
