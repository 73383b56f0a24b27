"""Models are found in a folder of weights, in the Hugging Face cache, or fetched; over real HTTP from a stand-in."""

import pytest
from hub_server import REVISION, HubServer, sha256
from huggingface_hub import constants

from bolid_pipeline.errors import ConfigurationError, HubUnreachable, WeightsMismatch, WeightsMissing
from bolid_pipeline.pretrained.hub import fetch, find, find_or_fetch, make_pin
from bolid_pipeline.pretrained.pins import Pin, pin_of, with_pin
from bolid_pipeline.pretrained.published import PublishedModel

WEIGHTS = bytes(range(256)) * 64
FILES = {
    "unet/config.json": b"{}",
    "unet/model.safetensors": WEIGHTS,
    "unet/model.ckpt": b"not needed",
    "README.md": b"read me",
}
BASE = PublishedModel(address="owner/base", files=("unet/config.json", "unet/model*.safetensors"))
UNET = PublishedModel(address="owner/base/unet/model.safetensors")
PIN = Pin(revision=REVISION, sha256={"unet/model.safetensors": sha256(WEIGHTS)})


@pytest.fixture
def hub(monkeypatch, tmp_path):
    with HubServer({"owner/base": FILES}) as server:
        yield server.used_by(monkeypatch, tmp_path / "cache")


@pytest.mark.parametrize("model", [BASE, UNET])
def test_a_model_is_fetched_once_and_only_what_is_needed_of_it(model, hub):
    first = find_or_fetch(model, PIN, None)
    assert first.path == first.root / model.path
    assert (first.root / "unet/model.safetensors").read_bytes() == WEIGHTS
    fetched = {path.relative_to(first.root).as_posix() for path in first.root.rglob("*") if path.is_file()}
    assert fetched == set(first.files) == set(FILES) & {*model.patterns, "unet/model.safetensors"}
    hub.requests.clear()
    assert find_or_fetch(model, PIN, None) == first
    assert hub.requests == []


@pytest.mark.usefixtures("hub")
def test_a_folder_of_weights_comes_before_the_cache_and_the_cache_before_the_hub(tmp_path):
    cached = find_or_fetch(BASE, PIN, None)
    assert (cached.place, find(BASE, REVISION, tmp_path)) == ("Hugging Face cache", cached)
    own = tmp_path / "owner" / "base" / "unet"
    own.mkdir(parents=True)
    (own / "config.json").write_bytes(b"{}")
    assert find(BASE, REVISION, tmp_path) == cached  # the folder lacks the weights
    (own / "model-00001-of-00001.safetensors").write_bytes(b"mine")
    found = find(BASE, REVISION, tmp_path)
    assert (found.place, found.path) == ("BOLID_WEIGHTS_DIR", own.parent)
    assert find(BASE, None, None) is None


def test_other_bytes_than_the_pinned_ones_are_refused_until_they_are_fetched_anew(hub):
    hub.sends["unet/model.safetensors"] = WEIGHTS[::-1]
    for _ in range(2):
        with pytest.raises(
            WeightsMismatch, match=rf"{sha256(WEIGHTS)} is pinned: .* `bolid models fetch --anew`"
        ):
            find_or_fetch(BASE, PIN, None)
    hub.sends.clear()
    fetch(BASE, PIN, None, anew=True)
    assert find_or_fetch(BASE, PIN, None).verify(PIN.sha256) == 1


def test_a_download_that_is_cut_short_counts_as_none(hub):
    hub.sends["unet/model.safetensors"] = WEIGHTS[:100]
    with pytest.raises(WeightsMissing, match=f"should be of size {len(WEIGHTS)} but has size 100") as refused:
        find_or_fetch(BASE, PIN, None)
    assert "\n" not in str(refused.value)
    assert find(BASE, REVISION, None) is None
    hub.sends.clear()
    find_or_fetch(BASE, PIN, None)


def test_a_download_that_breaks_off_is_resumed(hub, monkeypatch):
    monkeypatch.setattr("huggingface_hub.file_download.time.sleep", lambda _: None)
    hub.breaks_off.add("unet/model.safetensors")
    find_or_fetch(UNET, PIN, None)
    downloads = [request for request in hub.requests if request.startswith("GET owner/base/resolve")]
    assert len(downloads) == 2


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("RepoNotFound", "the hub knows no such repository, or shows it only to those who log in"),
        (
            "RevisionNotFound",
            "the hub knows no such revision of it; pin another by `bolid models pin --newest`",
        ),
        ("GatedRepo", "its owner asks you to accept the licence on its page, and to log in"),
    ],
)
def test_what_the_hub_refuses_is_said_in_one_line(code, reason, hub, tmp_path):
    hub.refuses["owner/base"] = code
    with pytest.raises(WeightsMissing, match=reason) as refused:
        find_or_fetch(BASE, PIN, tmp_path)
    assert f"{tmp_path / 'owner' / 'base'} lacks unet/config.json" in str(refused.value)
    assert "\n" not in str(refused.value)


def test_without_a_network_the_address_and_the_reason_are_named(hub, monkeypatch):
    monkeypatch.setattr("huggingface_hub.utils._http.time.sleep", lambda _: None)
    hub.__exit__()
    with pytest.raises(HubUnreachable, match=rf"owner/base is not .*{hub.url}: .*Connection refused$"):
        find_or_fetch(BASE, PIN, None)
    with pytest.raises(
        HubUnreachable, match=rf"owner/base cannot be pinned: {hub.url}: .*Connection refused$"
    ):
        make_pin(BASE, PIN, None, newest=False)


def test_offline_mode_asks_nobody_and_uses_the_cache(hub, monkeypatch):
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(WeightsMissing, match="HF_HUB_OFFLINE is set; fetch it by `bolid models fetch`"):
        find_or_fetch(BASE, PIN, None)
    assert hub.requests == []
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    fetched = find_or_fetch(BASE, PIN, None)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert find_or_fetch(BASE, PIN, None) == fetched


@pytest.mark.usefixtures("hub")
def test_a_file_that_the_repository_lacks_is_named():
    model = PublishedModel(address="owner/base", files=("unet/config.json", "vae/config.json"))
    with pytest.raises(WeightsMissing, match=rf"owner/base holds no vae/config.json at {REVISION}"):
        find_or_fetch(model, PIN, None)


def test_nothing_is_downloaded_at_an_unknown_commit(hub):
    with pytest.raises(ConfigurationError, match="owner/base is not pinned"):
        find_or_fetch(BASE, Pin(), None)
    assert hub.requests == []


@pytest.mark.usefixtures("hub")
def test_a_pin_is_made_by_asking_the_hub_or_from_the_files_that_are_here(tmp_path):
    assert make_pin(BASE, Pin(), None, newest=False) == PIN
    own = tmp_path / "owner" / "base" / "unet" / "model.safetensors"
    own.parent.mkdir(parents=True)
    own.write_bytes(b"mine")
    mine = Pin(sha256={"unet/model.safetensors": sha256(b"mine")})
    assert make_pin(UNET, Pin(revision=REVISION), tmp_path, newest=False) == mine
    with pytest.raises(WeightsMismatch, match="is pinned"):
        make_pin(UNET, PIN, tmp_path, newest=False)


def test_a_pin_counts_more_than_the_registry_and_keeps_the_repositorys_other_files():
    model = PublishedModel(address="owner/base", revision="a" * 40, sha256={"x.safetensors": "1" * 64})
    assert pin_of(model, {}) == Pin(revision="a" * 40, sha256={"x.safetensors": "1" * 64})
    other = {"owner/base": Pin(revision="b" * 40, sha256={"y.safetensors": "2" * 64})}
    assert pin_of(model, other) == other["owner/base"]
    added = with_pin(other, model, Pin(revision="b" * 40, sha256={"x.safetensors": "3" * 64}))
    both = {"x.safetensors": "3" * 64, "y.safetensors": "2" * 64}
    assert added == {"owner/base": Pin(revision="b" * 40, sha256=both)}
    newer = with_pin(other, model, Pin(revision="c" * 40, sha256={"x.safetensors": "3" * 64}))
    assert newer["owner/base"].sha256 == {"x.safetensors": "3" * 64}
