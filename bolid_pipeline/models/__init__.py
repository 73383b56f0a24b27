"""The networks: the frozen base model, two adapter branches, the body encoder, and the pipeline over them."""
