"""The networks of MMRA and MUFM video by video in plain NumPy, float64, written from their papers' equations."""

from __future__ import annotations

import numpy as np

from models.predictors.content_network import ContentNetwork
from models.predictors.features import NeighbourBatch, VideoBatch
from tests.models.predictors.reference import softmax

Sequences = dict[str, tuple[np.ndarray, np.ndarray]]  # name -> rows and mask


class ContentReference:
    """Weights of `model` as arrays, which may be changed to see that it would be noticed, and its standardised sequences."""

    def __init__(self, model: ContentNetwork) -> None:
        self.config = model.config
        self.weights = {name: value.double().numpy().copy() for name, value in model.state_dict().items()}

    def linear(self, name: str, x: np.ndarray) -> np.ndarray:
        return x @ self.weights[f"{name}.weight"].T + self.weights[f"{name}.bias"]

    def standardise(self, name: str, x: np.ndarray) -> np.ndarray:
        return (x - self.weights[f"{name}.mean"]) / self.weights[f"{name}.scale"]

    def on_the_targets_scale(self, y: np.ndarray) -> np.ndarray:
        return y * self.weights["standardise_target.scale"] + self.weights["standardise_target.mean"]

    def sequences(self, videos: VideoBatch, video: int) -> Sequences:
        used = {"visual": "use_visual", "acoustic": "use_audio", "text": "use_text"}
        rows, masks = {}, {}
        for name in (name for name, switch in used.items() if getattr(self.config, switch, True)):
            values = getattr(videos, name)[video].double().numpy()
            masks[name] = getattr(videos, f"{name}_mask")[video].numpy()
            standardised = self.standardise(f"sequences.standardise.{name}", values)
            rows[name] = np.where(masks[name][:, None], standardised, 0.0)
        sequences = {}
        if "visual" in rows and "acoustic" in rows:
            seen, heard = masks["visual"], masks["acoustic"]
            halves = [rows["visual"], rows["acoustic"], ~seen[:, None], ~heard[:, None]]
            sequences["c"] = (np.concatenate(halves, axis=1), seen | heard)
        elif one := [name for name in ("visual", "acoustic") if name in rows]:
            sequences["c"] = (rows[one[0]], masks[one[0]])
        if "text" in rows:
            sequences["t"] = (rows["text"], masks["text"])
        return sequences


class RetrievedReference(ContentReference):
    """H of MMRA and MUFM."""

    separate_values = normalised = False
    rectified = True

    def content(self, target: VideoBatch, neighbours: VideoBatch, hood: NeighbourBatch, video: int) -> np.ndarray:
        """H of one video."""
        use, d, encoder = self.config, self.config.width, "content.encoder"
        own = self.encode(encoder, self.embed(encoder, self.sequences(target, video)))
        if not use.use_retrieval:
            return own.ravel()
        encoder = encoder if use.share else "content.retrieved_encoder"
        ranks = [rank for rank in np.flatnonzero(hood.mask[video].numpy()) if rank < use.neighbours]
        score = hood.score[video].double().numpy()[ranks]
        if self.normalised and len(ranks):
            spread = score.max() - score.min()
            score = (score - score.min()) / spread if spread else np.zeros_like(score)
        weights = softmax(score / use.temperature) if len(ranks) else np.zeros(0)
        embedded = [self.embed(encoder, self.sequences(neighbours, int(hood.index[video, rank]))) for rank in ranks]
        retrieved = self.encode(encoder, self.mean_rows(encoder, embedded, weights, self.sequences(neighbours, 0)))
        labels = np.zeros(d)
        for weight, rank in zip(weights, ranks):
            label = self.standardise("standardise_target", hood.label[video, rank].double().numpy())
            vector = self.linear("content.embed_label", np.where(np.isnan(label), 0.0, label))
            if len(label) > 1:
                vector = vector + self.weights["content.unknown_label"][np.isnan(label)].sum(axis=0)
            labels += weight * (np.maximum(vector, 0.0) if self.rectified else vector)
        kinds = [*retrieved, labels]
        if use.interaction == "inner":
            inner = [vector @ kind / np.sqrt(d) for vector in own for kind in kinds]
            return np.concatenate([*own, *kinds, inner])
        return np.concatenate([*own, *retrieved, *(vector * kind for vector in own for kind in kinds)])

    def embed(self, encoder: str, sequences: Sequences) -> Sequences:
        return {
            name: (np.maximum(self.linear(f"{encoder}.embedding.{name}", rows), 0.0), mask)
            for name, (rows, mask) in sequences.items()
        }

    def mean_rows(self, encoder: str, embedded: list[Sequences], weights: np.ndarray, form: Sequences) -> Sequences:
        """MMRA eq. 4, row by row over the neighbours that have the row."""
        means = {}
        for name, (_, mask) in form.items():
            rows, there = np.zeros((len(mask), self.config.width)), np.zeros(len(mask), bool)
            for row in range(len(mask)):
                having = [number for number, video in enumerate(embedded) if video[name][1][row]]
                if having:
                    shares = weights[having] / weights[having].sum()
                    rows[row] = sum(share * embedded[n][name][0][row] for share, n in zip(shares, having))
                    there[row] = True
            means[name] = (rows, there)
        return means

    def encode(self, encoder: str, embedded: Sequences) -> np.ndarray:
        """One vector per sequence (MMRA eq. 2, 3 and the attentive pooling)."""
        x = {name: rows[mask] for name, (rows, mask) in embedded.items()}
        vectors = []
        for number, name in enumerate(x):
            if not len(x[name]):
                vectors.append(self.weights[f"{encoder}.absent"][number])
                continue
            enriched = x[name]
            if len(x) == 2:
                enriched = self.enrich(encoder, name, x[name], x["t" if name == "c" else "c"])
            h = enriched @ self.weights[f"{encoder}.transform.{name}"]
            scores = h @ self.weights[f"{encoder}.pool.{name}.context"] / np.sqrt(self.config.width)
            vectors.append(softmax(scores) @ h)
        return np.array(vectors)

    def enrich(self, encoder: str, name: str, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """ReLU(X + [P, N] W_1)."""
        found = np.zeros_like(x)
        signs = [(self.config.alpha, self.config.use_positive), (self.config.alpha - 1.0, self.config.use_negative)]
        integrate = "integrate_x" if name == "t" else "integrate_y"  # text is the attention's first sequence
        value = "value_x" if name == "c" and self.separate_values else "value"
        for number, factor in enumerate(factor for factor, used in signs if used):
            w_q, w_k, w_v, w_1 = (
                self.weights[f"{encoder}.attention.{part}"][number] for part in ("query", "key", value, integrate)
            )
            for row in range(len(x) if len(y) else 0):
                weights = softmax(factor * (y @ w_k) @ (x[row] @ w_q) / np.sqrt(self.config.width))
                found[row] += weights @ (y @ w_v) @ w_1
        return np.maximum(x + found, 0.0)
