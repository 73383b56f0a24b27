"""How the small networks of bodyworld were trained. `python -m bodyworld.pretrain` lists the stages."""
