"""MMRA: cross-modal attention over a video's content and the mean of its retrieved videos (Zhong et al., SIGIR 2024)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise
from types import MappingProxyType

from torch import Tensor, nn

from models.predictors.content_network import ContentNetwork
from models.predictors.content_sequences import lacking
from models.predictors.features import NeighbourBatch, Widths
from models.predictors.neural_predictor import NeuralPredictor
from models.predictors.retrieved_content import RetrievedContent, RetrievedContentConfig
from models.predictors.samples import Bank, Minibatch, Samples


@dataclass(frozen=True)
class MMRAConfig(RetrievedContentConfig):
    """Hyper-parameters of MMRA; see `RetrievedContentConfig` for those that MUFM has too.

    Attributes:
        second_hidden: Units of a second hidden layer of the output perceptron; 0 for none.

    Raises:
        ValueError: A value is outside its range; the message states the range.
    """

    second_hidden: int = 0

    def __post_init__(self) -> None:
        """Check the values."""
        super().__post_init__()
        if self.second_hidden < 0:
            raise ValueError(f"second_hidden must be at least 0, given {self.second_hidden}")


class MMRA(ContentNetwork):
    """Network of section 2.2: H of `RetrievedContent` through a perceptron with one output per target."""

    config_class = MMRAConfig

    def __init__(self, config: MMRAConfig, widths: Widths, *, targets: int = 1) -> None:
        """Build the network; see `ContentNetwork`."""
        super().__init__(config, widths, targets=targets)
        self.content = RetrievedContent(config, self.sequences.widths, targets=targets)
        units = [self.content.width, config.hidden, *([config.second_hidden] if config.second_hidden else [])]
        layers: list[nn.Module] = []
        for inputs, outputs in pairwise(units):
            layers += [nn.Linear(inputs, outputs), nn.ReLU(), nn.Dropout(config.dropout)]
        self.head = nn.Sequential(*layers, nn.Linear(units[-1], targets))

    def forecast(self, batch: Minibatch) -> Tensor:
        """Return predictions (b, T) for a minibatch."""
        return self.standardise_target.inverse(self.head(retrieved_content(self, batch)))


def retrieved_content(network: ContentNetwork, batch: Minibatch) -> Tensor:
    """Return H of a minibatch, (b, width), from the network's layer `content` and its first `config.neighbours` neighbours."""
    found, k = batch.neighbourhood, network.config.neighbours
    nearest = NeighbourBatch(found.index[:, :k], found.score[:, :k], found.mask[:, :k], found.label[:, :k])
    standardised = replace(nearest, label=network.standardise_target(nearest.label))
    return network.content(network.sequences(batch.target), network.sequences(batch.neighbours), standardised)


class MMRAPredictor(NeuralPredictor):
    """MMRA as a predictor.

    The paper retrieves by content alone; here the neighbours are those of the store, so `retrieval.similarity = "content"` is
    the paper's form. The paper reads frames and words. By default sound is read too, if there is any, so that a difference to
    other rows of a table comes from the model and not from its inputs; `use_audio = false`, also in the preset "paper", leaves
    it out.
    """

    title = "MMRA"
    code = 1
    network_class = MMRA
    config_class = MMRAConfig
    # Section 3.1; sizes of the layers, batch size, epochs and patience are those of the published code.
    paper = MappingProxyType(
        {
            "width": 768,
            "hidden": 800,
            "second_hidden": 200,
            "alpha": 0.6,
            "neighbours": 10,
            "temperature": 1.0,
            "interaction": "inner",
            "share": True,
            "use_audio": False,
            "dropout": 0.0,
            "learning_rate": 1e-4,
            "weight_decay": 0.0,
            "batch_size": 64,
            "epochs": 100,
            "patience": 20,
            "averaging": 0.0,
        }
    )
    reads = (*NeuralPredictor.reads, "similarity")
    sees_feedback = False

    def obstacle(self, train: Samples, bank: Bank) -> str | None:
        """Return which sequence is missing that the network's attention needs; None if none is."""
        missing = lacking(train.features, self.config.modalities)
        return missing and f"its network needs frames and words, but no training video has {missing}"

    def build(self, samples: Samples) -> MMRA:
        """Return a network with initial weights.

        Raises:
            ValueError: Fewer neighbours were retrieved than the network takes.
        """
        self.config.check_neighbours(samples)
        return MMRA(self.config, samples.features.widths, targets=samples.target.shape[1])
