"""The body bank: c_body of every person of the data set, so that a name is enough to draw them.

Shape suffixes: P people, D c_body.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import torch
from safetensors.torch import save_file

from bolid_pipeline.errors import NotEnoughData, UnknownIdentity, WeightsMismatch, WeightsMissing
from bolid_pipeline.names import as_identity, did_you_mean, find_name, same_name
from bolid_pipeline.pretrained.loading import loading
from bolid_pipeline.pretrained.states import load_safetensors

BANK_FILE = "body_bank.safetensors"
INDEX_FILE = "body_bank.json"


class PersonBody(NamedTuple):
    """The bank's entry for a person."""

    c_body_D: torch.Tensor
    """(D,): the mean body, from all photos at once."""
    num_views: int
    """Number of these photos."""
    spread_D: torch.Tensor | None = None
    """(D,): standard deviation of c_body from one photo at a time; None if it was not measured."""


@dataclass(frozen=True)
class BodyBank:
    """c_body (P, D) and its spread (P, D), float32. Row i is that of `identities[i]`, from `num_views[i]` photos."""

    identities: tuple[str, ...]
    c_body_PD: torch.Tensor
    num_views: tuple[int, ...]
    spread_PD: torch.Tensor

    @classmethod
    def of(cls, bodies: Mapping[str, PersonBody | tuple[torch.Tensor, int]]) -> "BodyBank":
        """Make a bank of these people. An unmeasured spread is stored as zero.

        Raises:
            NotEnoughData: `bodies` is empty.
        """
        if not bodies:
            raise NotEnoughData(
                "nobody to put into the body bank: it needs the c_body of at least one person"
            )
        people = [PersonBody(body[0], body[1], *body[2:]) for body in bodies.values()]
        spreads = [torch.zeros_like(p.c_body_D) if p.spread_D is None else p.spread_D for p in people]
        return cls(
            identities=tuple(bodies),
            c_body_PD=torch.stack([person.c_body_D.float().cpu() for person in people]),
            num_views=tuple(person.num_views for person in people),
            spread_PD=torch.stack([spread.float().cpu() for spread in spreads]),
        )

    def __getitem__(self, identity: str) -> torch.Tensor:
        """c_body (D,) of a person, by the identity or by another spelling of it (`Anna Bell` for `anna_bell`).

        Raises:
            UnknownIdentity: the bank does not hold the person; the message lists near names.
        """
        return self.c_body_PD[self._row(identity)]

    def between(self, first: str, second: str, fraction: float = 0.5) -> torch.Tensor:
        """Interpolate c_body (D,) between two people: the first at fraction 0, the second at 1.

        Raises:
            UnknownIdentity: the bank does not hold one of them.
        """
        return torch.lerp(self[first], self[second], fraction)

    def named_in(self, prompt: str) -> str | None:
        """Find the person whose whole name stands in a prompt, see `names.find_name`; the longest of several."""
        return find_name(self.identities, prompt)

    def without(self, identity: str) -> "BodyBank":
        """Copy the bank without this person.

        Raises:
            UnknownIdentity: the bank does not hold the person.
        """
        row = self._row(identity)
        keep = [i for i in range(len(self.identities)) if i != row]
        return BodyBank(
            tuple(self.identities[i] for i in keep),
            self.c_body_PD[keep],
            tuple(self.num_views[i] for i in keep),
            self.spread_PD[keep],
        )

    def save(self, folder: Path) -> None:
        """Write body_bank.safetensors (two matrices) and body_bank.json (their rows) into a folder."""
        tensors = {"c_body": self.c_body_PD.contiguous(), "spread": self.spread_PD.contiguous()}
        save_file(tensors, folder / BANK_FILE, metadata={"format": "pt"})
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
            WeightsMissing: one of the two files is missing.
            WeightsMismatch: one of them is damaged.
        """
        for name in (BANK_FILE, INDEX_FILE):
            if not (folder / name).is_file():
                raise WeightsMissing(f"no body bank in {folder}: {name} is missing")
        tensors, _ = load_safetensors(folder / BANK_FILE)
        with loading(folder / INDEX_FILE) as index:
            rows = json.loads(index.read_text(encoding="utf-8"))["rows"]
            identities, num_views = (tuple(row[name] for row in rows) for name in ("identity", "num_views"))
        with loading(folder / BANK_FILE):
            bank = cls(identities, tensors["c_body"], num_views, tensors["spread"])
        if not len(bank.identities) == len(bank.c_body_PD) == len(bank.spread_PD):
            raise WeightsMismatch(
                f"{folder / INDEX_FILE} names {len(identities)} people, but not those of {BANK_FILE}"
            )
        return bank

    def _row(self, identity: str) -> int:
        identity = as_identity(identity)
        if identity in self.identities:
            return self.identities.index(identity)
        if not self.identities:
            raise UnknownIdentity(f"the body bank is empty, so it holds no {identity!r}")
        spelt_otherwise = [
            row for row, known in enumerate(self.identities) if same_name(known) == same_name(identity)
        ]
        if len(spelt_otherwise) == 1:
            return spelt_otherwise[0]
        hint = did_you_mean(identity, self.identities) or f"it holds {', '.join(self.identities[:10])}"
        raise UnknownIdentity(
            f"the body bank holds no {identity!r} among its {len(self.identities)} people; {hint}"
        )
