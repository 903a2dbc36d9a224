"""M3TR's forward pass video by video in plain NumPy, float64, written from appendices E and F."""

from __future__ import annotations

import numpy as np

from models.predictors import M3TR, Table
from models.predictors.features import NeighbourBatch, VideoBatch

Rows = dict[str, tuple[np.ndarray, np.ndarray]]  # of each sequence its rows and their numbers

PAIRS = (("c", "t"), ("t", "s"), ("c", "s"))


def softmax(scores: np.ndarray) -> np.ndarray:
    weights = np.exp(scores - scores.max())
    return weights / weights.sum()


class Reference:
    """The network `model` computed another way; `weights` may be changed, to see that it would be noticed."""

    def __init__(self, model: M3TR) -> None:
        self.config, self.columns = model.config, model.columns
        self.weights = {name: value.double().numpy().copy() for name, value in model.state_dict().items()}

    def predict(
        self,
        target: VideoBatch,
        neighbours: VideoBatch,
        hood: NeighbourBatch,
        tables: tuple[Table, Table] | None = None,
    ) -> np.ndarray:
        own_table, their_table = tables or (None, None)
        own = [self.fuse(self.embedded(target, video, own_table)) for video in range(len(target))]
        others = [self.embedded(neighbours, video, their_table) for video in range(len(neighbours))]
        return np.array([self.forecast(vectors, others, hood, video) for video, vectors in enumerate(own)])  # (b, T)

    def linear(self, name: str, x: np.ndarray) -> np.ndarray:
        return x @ self.weights[f"{name}.weight"].T + self.weights[f"{name}.bias"]

    def standardise(self, name: str, x: np.ndarray) -> np.ndarray:
        return (x - self.weights[f"{name}.mean"]) / self.weights[f"{name}.scale"]

    def rows(self, videos: VideoBatch, video: int, name: str, used: bool) -> tuple[np.ndarray, np.ndarray]:
        values = getattr(videos, name)[video].double().numpy()
        mask = getattr(videos, f"{name}_mask")[video].numpy() & used
        return np.where(mask[:, None], self.standardise(f"standardise.{name}", values), 0.0), mask

    def metadata(self, table: Table, video: int) -> np.ndarray:
        """One row per column: x w + b of a number, the vector of a category, a learned one where it is unknown."""
        rows = []
        for column, value in enumerate(table.numeric[video]):
            scaled = (value - self.weights["embed_table.standardise.mean"][column]) / self.weights[
                "embed_table.standardise.scale"
            ][column]
            line = scaled * self.weights["embed_table.slope"][column] + self.weights["embed_table.bias"][column]
            rows.append(self.weights["embed_table.missing"][column] if np.isnan(value) else line)
        for column, name in enumerate(table.categorical_names):
            known = self.columns.categories[name]
            text = table.categorical[video, column]
            code = known.index(text) + 1 if text in known else 0
            rows.append(self.weights[f"embed_table.categories.{column}.weight"][code])
        return np.maximum(rows, 0.0)

    def embedded(self, videos: VideoBatch, video: int, table: Table | None) -> Rows:
        """X^c, X^t and X^s of one video, X^m with metadata, each with the numbers of its rows (eq. 26 to 28)."""
        use = self.config
        visual, seen = self.rows(videos, video, "visual", use.use_visual)
        acoustic, heard = self.rows(videos, video, "acoustic", use.use_audio)
        text, said = self.rows(videos, video, "text", use.use_text)
        temporal, there = self.rows(videos, video, "temporal", use.use_temporal)
        frames = np.concatenate([visual, acoustic, ~seen[:, None], ~heard[:, None]], axis=1)  # eq. 26
        raw = {"c": (frames, seen | heard), "t": (text, said), "s": (temporal, there)}
        x = {
            name: (np.maximum(self.linear(f"embed.{name}", values[mask]), 0.0), np.flatnonzero(mask))  # eq. 27, 28
            for name, (values, mask) in raw.items()
        }
        if table is not None:
            rows = self.metadata(table, video)
            x["m"] = rows, np.arange(len(rows))
        return x

    def mean_rows(self, neighbours: list[Rows], weights: list[float]) -> Rows:
        """Row j is the weighted mean of the rows j of the neighbours that have one (MMRA eq. 4)."""
        averaged = {}
        for name in neighbours[0]:
            numbers = np.unique(np.concatenate([video[name][1] for video in neighbours]))
            rows = np.zeros((len(numbers), self.config.width))
            for place, number in enumerate(numbers):
                having = [
                    (weight, video[name][0][list(video[name][1]).index(number)])
                    for weight, video in zip(weights, neighbours, strict=True)
                    if number in video[name][1]
                ]
                rows[place] = sum(w * row for w, row in having) / sum(w for w, _ in having)
            averaged[name] = rows, numbers
        return averaged

    def fuse(self, embedded: Rows) -> list[np.ndarray]:
        """C, T and S of one video (appendix F.1), and M with metadata."""
        use, x = self.config, {name: rows for name, (rows, _) in embedded.items()}
        enriched: dict[str, list[np.ndarray]] = {name: [] for name in x}
        for first, second in PAIRS + tuple((name, "m") for name in ("c", "t", "s") if "m" in x):
            enriched[first].append(self.enrich(first + second, x[first], x[second], "integrate_x"))
            enriched[second].append(self.enrich(first + second, x[second], x[first], "integrate_y"))
        vectors = []
        for number, name in enumerate(x):
            if not len(x[name]):
                vectors.append(self.weights["absent"][number])
                continue
            halves = [rows @ self.weights[f"transform.{name}"][half] for half, rows in enumerate(enriched[name])]
            h = self.linear(f"combine.{name}", np.concatenate(halves, axis=1))
            vectors.append(softmax(h @ self.weights[f"pool.{name}.context"] / np.sqrt(use.width)) @ h)
        return vectors

    def enrich(self, pair: str, x: np.ndarray, y: np.ndarray, direction: str) -> np.ndarray:
        """ReLU(X + [P, N] W_1), eq. 29 to 34."""
        found = np.zeros_like(x)
        signs = [(self.config.alpha, self.config.use_positive), (self.config.alpha - 1.0, self.config.use_negative)]
        for number, factor in enumerate(factor for factor, used in signs if used):
            query, key, value, integrate = (
                self.weights[f"attention.{pair}.{name}"][number] for name in ("query", "key", "value", direction)
            )
            for row in range(len(x) if len(y) else 0):
                weights = softmax(factor * (y @ key) @ (x[row] @ query) / np.sqrt(self.config.width))
                found[row] += weights @ (y @ value) @ integrate
        return np.maximum(x + found, 0.0)

    def forecast(self, own: list[np.ndarray], others: list, hood: NeighbourBatch, video: int) -> np.ndarray:
        """Appendix F.2 for one video."""
        use, d = self.config, self.config.width
        h = [np.concatenate(own)]
        if use.use_retrieval:
            ranks = np.flatnonzero(hood.mask[video].numpy())
            near = [others[int(hood.index[video, rank])] for rank in ranks]
            kinds = len(own) + use.use_labels
            retrieved = np.zeros((hood.mask.shape[1], kinds, d))  # C^r, T^r, S^r, L^r of each neighbour
            for rank, rows in zip(ranks, near, strict=True):
                retrieved[rank, : len(own)] = self.fuse(rows)
                if use.use_labels:
                    label = self.standardise("standardise_target", hood.label[video, rank].double().numpy())
                    retrieved[rank, -1] = self.linear("embed_label", np.where(np.isnan(label), 0.0, label))
                    if len(label) > 1:
                        retrieved[rank, -1] += self.weights["unknown_label"][np.isnan(label)].sum(axis=0)
            if use.aggregate != "concat":
                weights = np.zeros(len(retrieved))
                if len(ranks):
                    weights[ranks] = softmax(hood.score[video].double().numpy()[ranks] / use.temperature)
                retrieved = np.tensordot(weights, retrieved, axes=1)[None]
                if use.aggregate == "rows" and near:
                    retrieved[0, : len(own)] = self.fuse(self.mean_rows(near, weights[ranks]))
            if use.interaction == "product":
                interactions = [[[vector * kind for kind in copy] for vector in own] for copy in retrieved]
            else:
                interactions = [[[vector @ kind / np.sqrt(d) for kind in copy] for vector in own] for copy in retrieved]
            h += [retrieved.ravel(), np.array(interactions).ravel()]
        hidden = np.maximum(self.linear("head.0", np.concatenate(h)), 0.0)
        output = self.linear("head.3", hidden)
        return output * self.weights["standardise_target.scale"] + self.weights["standardise_target.mean"]
