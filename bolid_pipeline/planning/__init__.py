"""What a training takes before it runs: memory and time of a step, and whether this machine has them."""
