"""Selection of the photos to keep: scores by networks, then verdicts by plain filters, each with a reason."""
