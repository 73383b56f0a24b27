import json

import pytest
from make_losses import LOSSES_FILE, losses_of_five_steps


@pytest.mark.slow
def test_five_steps_have_the_losses_that_they_always_had():
    """Made by the code of commit 7ec7251, before the trainer was rebuilt. On new numbers see `make golden`."""
    golden, found = json.loads(LOSSES_FILE.read_text()), losses_of_five_steps()
    assert found.keys() == golden.keys()
    for name, losses in golden.items():
        assert found[name] == pytest.approx(losses, rel=1e-4), name
