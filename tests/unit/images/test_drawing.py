import io

import numpy as np
from PIL.PngImagePlugin import PngImageFile

from bolid_pipeline.images.drawing import contact_sheet, draw_skeleton, to_png

RED = np.full((40, 20, 3), (255, 0, 0), np.uint8)
BLUE = np.full((10, 50, 3), (0, 0, 255), np.uint8)


def test_a_contact_sheet_keeps_aspect_and_order():
    sheet = contact_sheet([RED, BLUE, RED], columns=2, cell_px=32)
    assert sheet.shape == (64, 64, 3)
    assert sheet[16, 16].tolist() == [255, 0, 0]
    assert sheet[16, 48].tolist() == [0, 0, 255]
    assert sheet[2, 48].tolist() == sheet[16, 2].tolist() == sheet[48, 48].tolist() == [255] * 3


def test_labels_take_room_of_their_own():
    plain, labelled = (
        contact_sheet([RED], 1, 64, labels) for labels in (None, ["a rather long name of someone"])
    )
    assert labelled.shape[0] > plain.shape[0] == 64
    assert (labelled[:64] == plain).all()
    assert (labelled[64:] < 128).any()


def test_no_images_make_an_empty_cell():
    assert (contact_sheet([], 3, 10) == 255).all()


def test_a_skeleton_shows_sure_keypoints_and_bones_between_them():
    black = np.zeros((100, 100, 3), np.uint8)
    keypoints = np.array([[20, 50, 0.9], [80, 50, 0.9], [50, 90, 0.1]])
    drawn = draw_skeleton(black, keypoints, edges=[(0, 1), (1, 2)])
    assert drawn[50, 50].any()
    assert drawn[50, 20].tolist() == [255] * 3
    assert not drawn[75:].any()
    assert not black.any()


def test_png_keeps_pixels_and_text():
    with PngImageFile(io.BytesIO(to_png(RED, {"prompt": "a tall woman, 身"}))) as image:
        assert (np.asarray(image) == RED).all()
        assert image.text == {"prompt": "a tall woman, 身"}
