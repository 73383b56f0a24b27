import hashlib
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from bolid_pipeline.errors import WeightsMismatch, WeightsMissing
from bolid_pipeline.pretrained.states import load_safetensors, load_state
from bolid_pipeline.pretrained.weights import WeightsFile, file_sha256, folder_sha256, verify


def sha256_of(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_a_pinned_file_passes_and_any_other_is_refused(tmp_path):
    path = tmp_path / "model.safetensors"
    path.write_bytes(b"weights")
    pin = sha256_of(path)
    assert verify(WeightsFile(path=path, sha256=pin.upper())) == path
    path.write_bytes(b"other weights")
    with pytest.raises(WeightsMismatch, match=pin):
        verify(WeightsFile(path=path, sha256=pin))
    with pytest.raises(WeightsMissing, match="gone"):
        verify(WeightsFile(path=tmp_path / "gone"))


def test_a_changed_file_has_another_hash(tmp_path):
    path = tmp_path / "w"
    path.write_bytes(b"1")
    first = file_sha256(path)
    path.write_bytes(b"22")
    assert [first, file_sha256(path)] == [hashlib.sha256(data).hexdigest() for data in (b"1", b"22")]
    with pytest.raises(WeightsMissing):
        file_sha256(tmp_path / "gone")


def test_a_folder_hash_sees_contents_and_names_but_no_notes(tmp_path):
    (tmp_path / "a.bin").write_bytes(b"1")
    first = folder_sha256(tmp_path)
    (tmp_path / "README.md").write_text("how it was trained")
    (tmp_path / ".cache").write_text("")
    assert folder_sha256(tmp_path) == first
    (tmp_path / "a.bin").rename(tmp_path / "b.bin")
    renamed = folder_sha256(tmp_path)
    (tmp_path / "b.bin").write_bytes(b"2")
    assert len({first, renamed, folder_sha256(tmp_path)}) == 3


def test_an_empty_or_missing_folder_is_no_model(tmp_path):
    for folder in (tmp_path, tmp_path / "gone"):
        with pytest.raises(WeightsMissing):
            folder_sha256(folder)


def test_a_pickle_needs_its_pin(tmp_path):
    path = tmp_path / "model.pth"
    torch.save({"w": torch.ones(2)}, path)
    with pytest.raises(WeightsMismatch, match="pin its sha256"):
        load_state(path)
    assert load_state(path, sha256_of(path))["w"].tolist() == [1, 1]


def test_a_pinned_pickle_still_runs_no_code(tmp_path):
    path = tmp_path / "model.pt"
    torch.save({"w": _RunsCode(tmp_path / "it_ran")}, path)
    with pytest.raises(WeightsMismatch, match="could run code") as refused:
        load_state(path, sha256_of(path))
    assert "\n" not in str(refused.value)
    assert not (tmp_path / "it_ran").exists()


class _RunsCode:
    """Makes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __reduce__(self) -> tuple[object, ...]:
        return Path.touch, (self._path,)


@pytest.mark.parametrize("suffix", [".pt", ".pth", ".safetensors"])
@pytest.mark.parametrize("content", ["half", "empty", "garbage", "text"])
def test_a_damaged_file_is_one_line_although_its_hash_is_right(tmp_path, suffix, content):
    whole, path = tmp_path / f"whole{suffix}", tmp_path / f"model{suffix}"
    (save_file if suffix == ".safetensors" else torch.save)({"w": torch.ones(1000)}, whole)
    half = whole.read_bytes()[: whole.stat().st_size // 2]
    path.write_bytes({"half": half, "empty": b"", "garbage": b"\x80\xff" * 99, "text": b"<html>"}[content])
    with pytest.raises(WeightsMismatch) as refused:
        load_state(path, sha256_of(path))
    assert str(path) in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_pickle_of_something_else_is_no_state_dict(tmp_path):
    path = tmp_path / "model.pt"
    torch.save({"epoch": 3}, path)
    with pytest.raises(WeightsMismatch, match="no state dict"):
        load_state(path, sha256_of(path))


def test_safetensors_come_with_their_metadata(tmp_path):
    path = tmp_path / "model.safetensors"
    save_file({"w": torch.arange(3)}, path, {"config": "tiny"})
    state, metadata = load_safetensors(path)
    assert state["w"].tolist() == load_state(path)["w"].tolist() == [0, 1, 2]
    assert metadata == {"config": "tiny"}
    path.write_bytes(path.read_bytes()[:-4])
    with pytest.raises(WeightsMismatch, match="no whole safetensors"):
        load_state(path)
