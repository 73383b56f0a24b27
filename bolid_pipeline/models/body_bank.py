"""The body bank: c_body of every person of the data set, so that a name is enough to draw them."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

from bolid_pipeline.errors import UnknownIdentity, WeightsMissing

BANK_FILE = "body_bank.safetensors"
INDEX_FILE = "body_bank.json"


@dataclass(frozen=True)
class BodyBank:
    """c_body (P, D) float32, row i of `identities[i]`, made from `num_views[i]` photos."""

    identities: tuple[str, ...]
    c_body_PD: torch.Tensor
    num_views: tuple[int, ...]

    @classmethod
    def of(cls, bodies: Mapping[str, tuple[torch.Tensor, int]]) -> "BodyBank":
        """A bank of {identity: (c_body (D,), number of views)}; at least one person."""
        return cls(
            identities=tuple(bodies),
            c_body_PD=torch.stack([c_body.float().cpu() for c_body, _ in bodies.values()]),
            num_views=tuple(num_views for _, num_views in bodies.values()),
        )

    def __getitem__(self, identity: str) -> torch.Tensor:
        """c_body (D,) of a person.

        Raises:
            UnknownIdentity: the bank does not hold the person; the message lists near names.
        """
        return self.c_body_PD[self._row(identity)]

    def without(self, identity: str) -> "BodyBank":
        """The bank with this person forgotten.

        Raises:
            UnknownIdentity: the bank does not hold the person.
        """
        row = self._row(identity)
        keep = [i for i in range(len(self.identities)) if i != row]
        return BodyBank(
            tuple(self.identities[i] for i in keep),
            self.c_body_PD[keep],
            tuple(self.num_views[i] for i in keep),
        )

    def save(self, folder: Path) -> None:
        """Write body_bank.safetensors (one matrix) and body_bank.json (its rows) into a folder."""
        save_file({"c_body": self.c_body_PD.contiguous()}, folder / BANK_FILE, metadata={"format": "pt"})
        rows = [
            {"identity": identity, "num_views": num_views}
            for identity, num_views in zip(self.identities, self.num_views, strict=True)
        ]
        index = {"c_body_dim": self.c_body_PD.shape[1], "rows": rows}
        (folder / INDEX_FILE).write_text(
            json.dumps(index, indent=2, ensure_ascii=False) + "\n", encoding="utf-8"
        )

    @classmethod
    def load(cls, folder: Path) -> "BodyBank":
        """Read what `save` wrote.

        Raises:
            WeightsMissing: one of the two files is not there.
        """
        for name in (BANK_FILE, INDEX_FILE):
            if not (folder / name).is_file():
                raise WeightsMissing(f"no body bank in {folder}: {name} is missing")
        rows = json.loads((folder / INDEX_FILE).read_text(encoding="utf-8"))["rows"]
        return cls(
            identities=tuple(row["identity"] for row in rows),
            c_body_PD=load_file(folder / BANK_FILE)["c_body"],
            num_views=tuple(row["num_views"] for row in rows),
        )

    def _row(self, identity: str) -> int:
        if identity in self.identities:
            return self.identities.index(identity)
        near = get_close_matches(identity, self.identities, n=3, cutoff=0.4)
        hint = f"did you mean {', '.join(near)}?" if near else f"it holds {', '.join(self.identities[:10])}"
        raise UnknownIdentity(
            f"the body bank holds no {identity!r} among its {len(self.identities)} people; {hint}"
        )
