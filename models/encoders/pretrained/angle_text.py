"""UAE as encoder of texts, run by the angle-emb library. The vectors are those of `text.AnglEEncoder`."""

from __future__ import annotations

from typing import Any

import torch
from angle_emb import AnglE

from models.encoders.pretrained.batching import finite
from models.encoders.pretrained.checkpoints import Checkpoint
from models.encoders.pretrained.from_files import checked_device, from_folder, quietly
from models.encoders.pretrained.options import TextOptions
from models.encoders.pretrained.text import AnglEEncoder


class AngleLibraryEncoder(AnglEEncoder):
    """An encoder of texts by angle-emb, which loads, pools and scales; see `roles.TextEncoder`."""

    def __init__(
        self,
        located: Checkpoint,
        options: TextOptions,
        *,
        identity: dict[str, Any],
        device: str,
        dtype: str,
        batch_size: int,
    ):
        """Load the model with angle-emb; `models.encoders.pretrained.load` calls this."""
        with quietly():
            self._angle = from_folder(
                lambda folder, local_files_only: AnglE.from_pretrained(
                    folder,
                    pooling_strategy="cls",
                    is_llm=False,
                    torch_dtype=getattr(torch, dtype),
                    model_kwargs={"local_files_only": local_files_only},
                ),
                located,
            )
        model = self._angle.backbone.to(checked_device(device)).eval()
        super().__init__(model, self._angle.tokenizer, options, identity=identity, batch_size=batch_size)

    @torch.inference_mode()
    def _sentences(self, texts: list[str]) -> Any:
        vectors = self._angle.encode(texts, max_length=self._max_tokens, to_numpy=False, normalize_embedding=True)
        return finite(vectors, "AnglE").numpy()

    def _last_layer(self, tokens: Any) -> torch.Tensor:
        return self._angle.pooler(tokens, pooling_strategy="all")
