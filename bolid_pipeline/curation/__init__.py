"""Which photos are kept: scores by networks, then verdicts by plain filters, each with a reason."""
