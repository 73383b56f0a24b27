"""A folder of your own photos, and people whom a refresh leaves out: by its bounds, by their source, for good."""

import shutil

from fault_server import FaultySite
from own_photos import TWO_PEOPLE, OwnPhotos
from small_crawls import Crawl, jpeg, people

from bolid_pipeline.cli.forgetting import forget


def test_photos_that_a_folder_of_the_same_people_holds_are_told_from_a_moved_root(own, tmp_path):
    own.add_all(TWO_PEOPLE)
    own.refresh()
    other = OwnPhotos(tmp_path, "other")
    other.add_all({"anna/1.jpg": 501, "hugo/1.jpg": 502, "anna/shared.jpg": 0})
    other.refresh()
    assert other.catalogue.failures == {"name_taken": 1}
    assert other.statuses == {"anna": "listed", "hugo": "other_source", "pavel": "other_source"}
    assert other.stored["anna/shared.jpg"] == "anna"
    assert len(other.stored) == 9
    own.refresh()
    assert own.statuses == {"anna": "other_source", "hugo": "listed", "pavel": "listed"}
    assert own.stored["hugo/0.jpg"] == "hugo"
    shutil.rmtree(own.root / "hugo")
    own.refresh()
    other.refresh()
    assert other.stored["anna/shared.jpg"] == "anna"
    assert other.statuses == {"anna": "listed", "hugo": "listed", "pavel": "other_source"}


def test_people_whom_a_run_leaves_out_stay_as_they_are(own):
    own.add_all(TWO_PEOPLE)
    own.refresh()
    (own.root / "hugo/0.jpg").unlink()
    own.add("hugo/new.jpg", 50)
    own.add("pavel/new.jpg", 51)
    own.refresh(included_identities=frozenset({"pavel"}))
    assert "hugo/0.jpg" in own.stored
    assert "pavel/new.jpg" in own.stored
    own.refresh(min_photos=6)
    assert len(own.stored) == 8
    own.refresh(max_photos_per_identity=2)
    assert len(own.stored) == 8
    own.refresh()
    assert "hugo/new.jpg" in own.stored


def test_photos_of_a_forgotten_person_leave_a_doubt_on_whoever_else_has_them(own):
    own.add_all(TWO_PEOPLE | {"anna/copy.jpg": 0})
    own.refresh()
    forget(own.data_dir, "anna")
    for _ in range(2):
        own.refresh()
        assert own.statuses == {"hugo": "listed", "pavel": "listed"}
        assert own.stored["hugo/0.jpg"] == "hugo"
        assert own.refused == {"hugo/0.jpg": "photo_of_another_identity"}
        assert own.rows("folder_files", "identity") == [("hugo",)] * 4 + [("pavel",)] * 4


def test_a_site_and_a_folder_in_one_data_folder_leave_each_other_alone(own):
    shared = jpeg(0)
    own.add_all(TWO_PEOPLE)
    site_crawl = Crawl(own.data_dir)
    with FaultySite(people({"anna": {"a": shared, "b": jpeg(900)}})) as site:
        site_crawl.run(site)
        own.refresh()
        assert own.statuses == {"anna": "other_source", "hugo": "listed", "pavel": "listed"}
        assert own.stored["hugo/0.jpg"] == "hugo"
        assert len(own.stored) == 9
        site_crawl.run(site)
        shutil.rmtree(own.root / "hugo")
        own.refresh()
    assert own.statuses == {"anna": "other_source", "pavel": "listed"}
    assert sorted(own.stored.values()) == ["anna"] * 2 + ["pavel"] * 4
