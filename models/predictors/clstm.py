"""CLSTM: an LSTM over a video's frames whose gates see the words as context (Ghosh et al. 2016)."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType

import torch
from torch import Tensor, nn

from models.predictors.content_network import ContentNetwork
from models.predictors.content_sequences import AUDIO_VISUAL, TEXT, lacking
from models.predictors.features import Widths
from models.predictors.neural_predictor import NeuralPredictor
from models.predictors.ranges import COUNT, RATE, check_ranges
from models.predictors.samples import Bank, Minibatch, Samples


@dataclass(frozen=True)
class CLSTMConfig:
    """Hyper-parameters of CLSTM.

    Attributes:
        width: Width of the LSTM's state.
        hidden: Units of the hidden layer behind the last state.
        dropout: Dropout rate of the last state and of the hidden layer, in [0, 1).

    Raises:
        ValueError: A value is outside its range; the message states the range.
    """

    width: int = 64
    hidden: int = 64
    dropout: float = 0.0

    def __post_init__(self) -> None:
        """Check the values."""
        check_ranges(self, width=COUNT, hidden=COUNT, dropout=RATE)


class CLSTM(ContentNetwork):
    """Network with an LSTM over the audio-visual rows x, with peepholes and the mean word vector e in all gates.

        i = sigma(W_xi x + W_hi h + w_ci c + W_ei e + b_i), f alike        c' = f c + i tanh(W_xc x + W_hc h + W_ec e + b_c)
        o = sigma(W_xo x + W_ho h + w_co c' + W_eo e + b_o)                h' = o tanh(c')

    The paper's context is a topic; words take its place here. A video without words has the training mean, zero. Masked rows
    leave the state as it is, and a video without rows has a learned vector in place of its last state.
    """

    config_class = CLSTMConfig
    reads_neighbours = False

    def __init__(self, config: CLSTMConfig, widths: Widths, *, targets: int = 1) -> None:
        """Build the network; see `ContentNetwork`."""
        super().__init__(config, widths, targets=targets)
        h, names = config.width, self.sequences.widths
        self.of_rows = nn.Linear(names[AUDIO_VISUAL], 4 * h)
        self.of_words = nn.Linear(names[TEXT], 4 * h, bias=False)
        self.of_state = nn.Linear(h, 4 * h, bias=False)
        self.peepholes = nn.Parameter(torch.empty(3, h).uniform_(-(h**-0.5), h**-0.5))
        self.absent = nn.Parameter(torch.zeros(h))
        dropout = nn.Dropout(config.dropout)
        self.head = nn.Sequential(
            dropout, nn.Linear(h, config.hidden), nn.ReLU(), dropout, nn.Linear(config.hidden, targets)
        )

    def forecast(self, batch: Minibatch) -> Tensor:
        """Return predictions (b, T) for a minibatch."""
        sequences = self.sequences(batch.target)
        words, word_mask = sequences[TEXT]
        context = words.sum(1) / word_mask.sum(1, keepdim=True).clamp(min=1)  # (b, d_t); masked rows are zero
        rows, mask = sequences[AUDIO_VISUAL]
        inputs = self.of_rows(rows) + self.of_words(context).unsqueeze(1)  # (b, K, 4 h)
        state = cell = inputs.new_zeros(len(rows), self.config.width)
        for step in range(rows.shape[1]):
            following = self._step(inputs[:, step], state, cell)
            is_row = mask[:, step, None]
            state, cell = (torch.where(is_row, new, old) for new, old in zip(following, (state, cell), strict=True))
        last = torch.where(mask.any(1, keepdim=True), state, self.absent)
        return self.standardise_target.inverse(self.head(last))

    def _step(self, inputs: Tensor, state: Tensor, cell: Tensor) -> tuple[Tensor, Tensor]:
        """Return state and cell after a row, (b, h) each."""
        enter, forget, candidate, leave = (inputs + self.of_state(state)).chunk(4, -1)
        enter = (enter + self.peepholes[0] * cell).sigmoid()
        forget = (forget + self.peepholes[1] * cell).sigmoid()
        cell = forget * cell + enter * candidate.tanh()
        return (leave + self.peepholes[2] * cell).sigmoid() * cell.tanh(), cell


class CLSTMPredictor(NeuralPredictor):
    """CLSTM as a predictor. It reads frames, sound and words, and neither feedback nor neighbours."""

    title = "CLSTM"
    code = 1
    network_class = CLSTM
    config_class = CLSTMConfig
    # Sizes of the code that MMRA's authors compared with.
    paper = MappingProxyType(
        {"width": 50, "hidden": 200, "dropout": 0.0, "learning_rate": 1e-4, "batch_size": 64, "averaging": 0.0}
    )
    sees_feedback = False

    def obstacle(self, train: Samples, bank: Bank) -> str | None:
        """Return that there is nothing to run the LSTM over, if no training video has frames or sound."""
        missing = lacking(train.features, ("visual", "acoustic"))
        return missing and f"no training video has {missing}"

    def build(self, samples: Samples) -> CLSTM:
        """Return a network with initial weights."""
        return CLSTM(self.config, samples.features.widths, targets=samples.target.shape[1])
