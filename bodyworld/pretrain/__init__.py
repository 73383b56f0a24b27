"""Training of bodyworld's small networks. `python -m bodyworld.pretrain` lists the stages."""
