from bolid_pipeline.latents.checks import latents_are_finite


def test_latents_with_a_nan_are_a_problem_with_a_way_out():
    outcome = latents_are_finite(300, [f"photo {number:03}" for number in range(30)])
    assert str(outcome.problem).startswith(
        "the latents of 30 photos hold a NaN or an infinity: the VAE overflowed"
    )
    assert outcome.numbers == {"num_latents": 300, "num_not_finite": 30}
    assert len(outcome.examples) == 20


def test_finite_latents_pass():
    assert latents_are_finite(300, []).passed
