"""The frozen text encoders in a training: they encode each batch's captions on the device of the trained module.

Nothing is kept of the captions, so memory does not grow with their number. Encoding them in every step costs about 2 %
of the step; keeping them encoded would take several times the room of the latents (docs/benchmarks.md, "Captions").

Shape suffixes: B captions, E text encoders, W windows, T positions of a window, F text features, M all captions.
"""

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import nn

from bolid_pipeline.models.base import BaseModel
from bolid_pipeline.models.body_prior import text_vector
from bolid_pipeline.models.text import EncodedText, empty_text, encode_tokens, text_encoders, tokenize

_CAPTIONS_PER_CALL = 256


class TextEncoders(nn.Module):
    """The text encoders of the base model, as a module that moves to a device together with what is trained.

    Args:
        base: the base model, frozen.
    """

    def __init__(self, base: BaseModel) -> None:
        super().__init__()
        self._base = base
        self.encoders = nn.ModuleList(text_encoders(base))
        self._empty: EncodedText | None = None

    def forward(self, token_ids_BEWT: torch.Tensor) -> EncodedText:
        """Captions from their token ids (see `models.text.tokenize`)."""
        return encode_tokens(self._base, token_ids_BEWT)

    def empty(self, num_windows: int) -> EncodedText:
        """The empty prompt, padded to this many windows; encoded once on each device, because it never changes."""
        device = next(self.encoders.parameters()).device
        if self._empty is None or self._empty.hidden_BLD.device != device:
            self._empty = empty_text(self._base)
        return EncodedText(self._empty.hidden_BLD.repeat(1, num_windows, 1), self._empty.pooled_BD)

    def map_vectors(self, captions: Sequence[str], file: Path) -> torch.Tensor:
        """`text_vector` of each caption, (M, F) float32, in a file that is mapped in place of memory.

        Args:
            captions: M captions, encoded a few hundred at a time on the encoders' device.
            file: an older one is overwritten.
        """
        dim = sum(encoder.config.hidden_size for encoder in text_encoders(self._base))
        file.unlink(missing_ok=True)
        vectors_MF = torch.from_file(str(file), shared=True, size=len(captions) * dim).view(-1, dim)
        for start in range(0, len(captions), _CAPTIONS_PER_CALL):
            some = captions[start : start + _CAPTIONS_PER_CALL]
            first_window_BE1T = tokenize(self._base, some)[:, :, :1]
            vectors_MF[start : start + len(some)] = text_vector(self(first_window_BE1T).hidden_BLD)
        return vectors_MF
