from bolid_pipeline.scraping.checks import every_photo_has_its_file


def test_a_photo_without_its_file_is_found():
    outcome = every_photo_has_its_file(["aa/1.jpg", "bb/2.jpg"], ["aa/1.jpg", "cc/unlisted.jpg"])
    assert str(outcome.problem).startswith(
        "1 photos have no file: restore the files, or materialise `raw_photos`"
    )
    assert outcome.examples == ["bb/2.jpg"]
    assert outcome.numbers == {"num_photos": 2, "num_missing_files": 1}


def test_photos_with_their_files_pass():
    assert every_photo_has_its_file(["aa/1.jpg"], ["aa/1.jpg"]).passed
