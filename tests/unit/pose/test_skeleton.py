from bolid_pipeline.pose.skeleton import EDGES, FLIP_INDEX, GROUPS, KEYPOINT_NAMES


def test_mirroring_swaps_left_and_right_and_nothing_else():
    for name, flipped in zip(KEYPOINT_NAMES, FLIP_INDEX, strict=True):
        swapped = name.replace("left", "?").replace("right", "left").replace("?", "right")
        assert KEYPOINT_NAMES[flipped] == swapped


def test_every_keypoint_is_in_one_group_and_on_a_bone():
    assert sorted(keypoint for group in GROUPS.values() for keypoint in group) == list(range(17))
    assert {keypoint for edge in EDGES for keypoint in edge} == set(range(17))


def test_bones_mirror_onto_bones():
    bones = {frozenset(edge) for edge in EDGES}
    assert {frozenset((FLIP_INDEX[a], FLIP_INDEX[b])) for a, b in EDGES} == bones
    assert len(bones) == len(EDGES)
