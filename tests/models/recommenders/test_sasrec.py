"""SASRec against plain NumPy, its causality, and what it finds."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from models.recommenders import ItemFeatures, Queries, UserHistories, leave_one_out
from models.recommenders.click_sequences import ClickSequences
from models.recommenders.ranking_metrics import click_metrics, ranks
from models.recommenders.sasrec import SASRec
from models.recommenders.sasrec_network import SASRecConfig, SASRecNetwork
from models.recommenders.sasrec_training import SASRecFit, SASRecTraining
from tests.models.recommenders.sasrec_reference import Reference
from tests.models.recommenders.small_world import cyclic_world, random_content, random_histories

CONFIG = SASRecConfig(width=8, inner=12, layers=2, heads=2, length=6, dropout=0.0)
FORMS = {
    "as it is": CONFIG,
    "normalised after": replace(CONFIG, norm="post"),
    "with a ReLU": replace(CONFIG, activation="relu"),
    "with ids": replace(CONFIG, ids=True),
}


def network_of(config: SASRecConfig, features: ItemFeatures | None = None) -> SASRecNetwork:
    torch.manual_seed(3)
    features = random_content() if features is None else features
    network = SASRecNetwork(config, features.widths, items=20).double().eval()
    for weights in network.parameters():  # no zero biases, no unit scales
        torch.nn.init.normal_(weights, std=0.4)
    network.items.fit_scales(features, np.arange(20))
    return network


def item_rows(network: SASRecNetwork, features: ItemFeatures) -> torch.Tensor:
    content = {name: values.double() for name, values in network.items.read(features, np.arange(20)).items()}
    return network.items(content, torch.arange(20))


def sequences() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(1)
    mask = np.arange(6) < np.array([6, 3, 1, 0])[:, None]
    return np.where(mask, rng.integers(0, 20, mask.shape), 0), mask


def states(network: SASRecNetwork, items: np.ndarray, mask: np.ndarray) -> np.ndarray:
    vectors = item_rows(network, random_content())
    return network(vectors[torch.from_numpy(items)], torch.from_numpy(mask), mask.shape[1]).detach().numpy()


def reference_states(
    reference: Reference, features: ItemFeatures, items: np.ndarray, mask: np.ndarray
) -> list[np.ndarray]:
    scales = {}
    for name, values in features.vectors.items():
        known = features.known.get(name, np.ones(len(values), bool))
        rows = values[known].astype(np.float64)
        scales[name] = np.where(known[:, None], (values - rows.mean(0)) / rows.std(0), 0.0)
    vectors = [reference.item({name: values[row] for name, values in scales.items()}, row) for row in range(20)]
    return [
        np.stack(reference.users([vectors[item] for item in row[kept]])) for row, kept in zip(items, mask) if kept.any()
    ]


@pytest.mark.parametrize("config", FORMS.values(), ids=FORMS)
def test_the_forward_pass_is_the_papers(config):
    network, (items, mask) = network_of(config), sequences()
    found = states(network, items, mask)
    expected = reference_states(Reference(network), random_content(), items, mask)
    for row, rows in enumerate(expected):
        np.testing.assert_allclose(found[row][mask[row]], rows, atol=2e-6)  # content is read as float32


def test_the_forward_pass_of_learned_items_is_the_papers_to_ten_digits():
    config = replace(CONFIG, ids=True)
    network, (items, mask) = network_of(config, ItemFeatures()), sequences()
    vectors = network.items({}, torch.arange(20))
    found = network(vectors[torch.from_numpy(items)], torch.from_numpy(mask), 6).detach().numpy()
    expected = reference_states(Reference(network), ItemFeatures(), items, mask)
    for row, rows in enumerate(expected):
        np.testing.assert_allclose(found[row][mask[row]], rows, atol=1e-10)


@pytest.mark.parametrize(
    "name", ["place.weight", "items.join.weight", "blocks.1.project.weight", "blocks.0.outer.bias"]
)
def test_a_wrong_weight_would_be_noticed(name):
    network, (items, mask) = network_of(CONFIG), sequences()
    reference = Reference(network)
    reference.weights[name] += 0.01 * np.random.default_rng(0).normal(size=reference.weights[name].shape)
    expected = reference_states(reference, random_content(), items, mask)
    assert np.abs(states(network, items, mask)[0][mask[0]] - expected[0]).max() > 1e-4


@pytest.mark.parametrize("config", FORMS.values(), ids=FORMS)
def test_the_last_places_alone_are_those_of_all_places(config):
    network, (items, mask) = network_of(config), sequences()
    vectors = item_rows(network, random_content())[torch.from_numpy(items)]
    every = network(vectors, torch.from_numpy(mask), 6)
    for last in (1, 2):
        torch.testing.assert_close(network(vectors, torch.from_numpy(mask), last), every[:, -last:], atol=1e-12, rtol=0)


def test_padding_on_either_side_changes_nothing():
    network, (items, mask) = network_of(CONFIG), sequences()
    found = states(network, items, mask)
    right = [np.pad(values, ((0, 0), (0, 3))) for values in (items, mask)]
    left = [np.pad(values, ((0, 0), (3, 0))) for values in (items, mask)]
    np.testing.assert_allclose(states(network, *right)[:, :6][mask], found[mask], atol=1e-12)
    np.testing.assert_allclose(states(network, *left)[:, 3:][mask], found[mask], atol=1e-12)
    other = np.where(mask, items, 11)  # what stands at a masked place is not read
    np.testing.assert_allclose(states(network, other, mask)[mask], found[mask], atol=1e-12)


@pytest.mark.parametrize("loss", ["bce", "softmax"])
@pytest.mark.parametrize("ids", [False, True])
def test_the_gradient_reaches_every_parameter(loss, ids):
    histories, features = random_histories(), random_content()
    config = replace(CONFIG, loss=loss, ids=ids, length=15)
    torch.manual_seed(0)
    network = SASRecNetwork(config, features.widths, items=20)
    fit = SASRecFit(
        network, histories, features, leave_one_out(histories), options=SASRecTraining(), seed=0, device="cpu"
    )
    sum(fit.loss(batch) for batch in fit.batches()).backward()
    for name, weights in network.named_parameters():
        assert weights.grad is not None and weights.grad.abs().sum() > 0, name


def fitted(histories: UserHistories, features: ItemFeatures, **options: object) -> SASRec:
    given = {
        "width": 16,
        "inner": 32,
        "heads": 2,
        "length": 8,
        "dropout": 0.1,
        "epochs": 3,
        "batch_size": 96,
        **options,
    }
    model = SASRec.from_options(given)
    model.fit(histories, features, leave_one_out(histories), seed=1)
    return model


def test_a_later_click_or_item_changes_no_earlier_score():
    histories, features = random_histories(), random_content()
    model = fitted(histories, features)
    exposures = np.arange(len(histories.item))
    queries = Queries.before(histories, exposures)
    before = model.score(histories, features, queries)
    user = int(np.argmax(np.diff(histories.start)))
    late = histories.start[user + 1] - 2
    item, clicked = histories.item.copy(), histories.clicked.copy()
    item[late:] = (item[late:] + 5) % 20
    clicked[late:] = ~clicked[late:]
    changed = replace(histories, item=item, clicked=clicked)
    after = model.score(changed, features, queries)
    earlier = np.flatnonzero((queries.user != user) | (queries.seen <= late - histories.start[user]))
    assert np.array_equal(after[earlier], before[earlier])
    everything = Queries(np.array([user]), np.diff(histories.start)[[user]], np.zeros(1, np.int64))
    assert not np.allclose(model.score(changed, features, everything), model.score(histories, features, everything))


def test_exposures_that_are_held_out_change_nothing_of_the_fit():
    histories, features = random_histories(users=20), random_content()
    split = leave_one_out(histories)
    item = histories.item.copy()
    item[split.test] = (item[split.test] + 7) % 20
    changed = replace(histories, item=item)
    queries = Queries.before(histories, split.test)
    options = {"epochs": 2, "ids": True}
    found = [fitted(each, features, **options).score(histories, features, queries) for each in (histories, changed)]
    assert np.array_equal(*found)


@pytest.mark.parametrize("loss", ["bce", "softmax"])
def test_what_content_says_of_the_next_click_is_found_for_new_items_too(loss):
    histories, features = cyclic_world()
    split = leave_one_out(histories)
    model = fitted(histories, features, loss=loss, epochs=12, learning_rate=1e-2)
    scores = model.score(histories, features, Queries.before(histories, split.test))
    rank = ranks(scores, histories.item[split.test])
    assert click_metrics(rank).values["hit rate@10"] > 0.9  # by chance 0.25
    # items that nobody has met: the same content in other rows
    twins = ItemFeatures({"frames": np.concatenate([features.vectors["frames"]] * 2)})
    wider = replace(histories, items=np.array([f"i{number}" for number in range(80)]))
    new = model.score(wider, twins, Queries.before(histories, split.test))
    np.testing.assert_allclose(new[:, 40:], scores, atol=1e-5)


def test_chosen_candidates_have_the_scores_of_the_full_ranking():
    histories, features = random_histories(), random_content()
    model = fitted(histories, features)
    queries = Queries.before(histories, np.arange(len(histories.item)))
    candidates = np.random.default_rng(0).integers(0, 20, (len(queries), 4))
    whole = model.score(histories, features, queries)
    np.testing.assert_allclose(
        model.score(histories, features, queries, candidates), np.take_along_axis(whole, candidates, 1), atol=1e-6
    )
    assert not whole[queries.seen == 0].any()


def test_the_mean_score_is_the_mean_over_users():
    histories, features = random_histories(), random_content()
    model = fitted(histories, features)
    logit, score = model.mean_scores(histories, features)
    has_click = np.diff(ClickSequences.of(histories).start) > 0
    users = np.flatnonzero(has_click)
    queries = Queries(users, np.diff(histories.start)[users], np.zeros(len(users), np.int64))
    expected = model.score(histories, features, queries).mean(0)
    np.testing.assert_allclose(logit, expected, atol=1e-5)
    np.testing.assert_allclose(score, 1 / (1 + np.exp(-logit)), atol=1e-12)
    assert 0 < has_click.sum() < len(histories)


def test_a_saved_model_gives_the_same_scores(tmp_path):
    histories, features = random_histories(), random_content()
    model, again = fitted(histories, features), SASRec()
    model.save(tmp_path / "model")
    again.load(tmp_path / "model")
    queries = Queries.before(histories, np.arange(len(histories.item)))
    assert np.array_equal(again.score(histories, features, queries), model.score(histories, features, queries))
    assert again.config == model.config


@pytest.mark.parametrize("stride", [1, 3, 4])
def test_every_training_click_but_a_users_first_is_a_target_once(stride):
    histories, length = random_histories(clicked=0.9), 4
    clicks, split = ClickSequences.of(histories), leave_one_out(histories)
    expected = []
    for user in range(len(histories)):
        rows = np.arange(histories.start[user], histories.start[user] + split.train[user])
        count = histories.clicked[rows].sum()
        expected += list(clicks.start[user] + np.arange(1, max(count, 1)))
    for seed in range(5):
        offsets = np.random.default_rng(seed).integers(0, stride, len(histories))
        begin, target, end = clicks.windows(split.train, length, stride=stride, offsets=offsets)
        owner = np.searchsorted(clicks.start, begin, side="right") - 1
        targets = np.concatenate([np.arange(first, last) for first, last in zip(target, end, strict=True)])
        assert sorted(targets) == expected
        # the last target reads L clicks, or all before it
        np.testing.assert_array_equal(end - 1 - begin, np.minimum(end - 1 - clicks.start[owner], length))
        assert (end - target <= stride).all()
        # every target reads more than L - stride clicks, or all before it
        assert ((target - begin > length - stride) | (begin == clicks.start[owner])).all()


def test_with_a_stride_of_one_training_reads_what_scoring_reads():
    histories = random_histories(clicked=0.9)
    clicks, split = ClickSequences.of(histories), leave_one_out(histories)
    torch.manual_seed(0)
    network = SASRecNetwork(replace(CONFIG, loss="softmax", ids=True), {}, items=20)
    options = SASRecTraining(stride=1, batch_size=7)
    fit = SASRecFit(network, histories, ItemFeatures(), split, options=options, seed=0, device="cpu")
    found = set()
    for batch in fit.batches():
        items = batch.rows.numpy()
        assert batch.counts.all() and batch.counts.shape[1] == 1
        for click, mask in zip(batch.click.numpy(), batch.mask.numpy(), strict=True):
            found.add(tuple(items[click[mask]]))
    expected = set()
    for user in range(len(histories)):
        own = clicks.item[clicks.start[user] : clicks.clicks_before[histories.start[user] + split.train[user]]]
        expected |= {tuple(own[max(0, last - CONFIG.length) : last]) for last in range(1, len(own))}
    assert found == expected


def test_a_step_has_windows_of_all_lengths():
    histories = random_histories(users=200, clicked=0.9)
    torch.manual_seed(0)
    network = SASRecNetwork(replace(CONFIG, loss="softmax", ids=True), {}, items=20)
    options = SASRecTraining(stride=1, batch_size=50)
    fit = SASRecFit(network, histories, ItemFeatures(), leave_one_out(histories), options=options, seed=0, device="cpu")
    lengths = [batch.mask.sum(1) for batch in fit.batches()][:-1]  # the last step is smaller
    assert len(lengths) > 10
    assert all({1, CONFIG.length} <= set(step.tolist()) for step in lengths)


def test_only_targets_count():
    histories = random_histories(clicked=0.9)
    torch.manual_seed(0)
    network = SASRecNetwork(replace(CONFIG, loss="softmax", ids=True), {}, items=20).eval()
    options = SASRecTraining(stride=2, batch_size=10**6)
    fit = SASRecFit(network, histories, ItemFeatures(), leave_one_out(histories), options=options, seed=0, device="cpu")
    (batch,) = fit.batches()
    vectors = network.items(batch.content, batch.rows)
    user = network(vectors[batch.click], batch.mask, batch.mask.shape[1])
    first = batch.mask.shape[1] - batch.counts.shape[1]
    losses = [
        torch.nn.functional.cross_entropy((user[row, first + place] @ vectors.T)[None], target[None])
        for (row, place), target in zip(batch.counts.nonzero().tolist(), batch.target, strict=True)
    ]
    assert batch.mask.sum() > len(losses) == sum(len(part.target) for part in fit.batches())
    torch.testing.assert_close(fit.loss(batch), torch.stack(losses).mean())


def test_what_cannot_be_fitted_is_told():
    histories = random_histories()
    assert SASRec().obstacle(histories, ItemFeatures()) == "items have no content; ids = true learns a vector per item"
    lonely = histories.only(np.isin(np.arange(len(histories.item)), histories.start[1:-1]))
    assert SASRec().obstacle(lonely, random_content()) == "no user has two clicks"
    with pytest.raises(ValueError, match="heads must divide width 64, given 5"):
        SASRec.from_options({"heads": 5})
    with pytest.raises(ValueError, match="'head' is unknown; allowed: activation, batch_size"):
        SASRec.check_options({"head": 2})
    with pytest.raises(ValueError, match="needs ids = false"):
        fitted(histories, random_content(), ids=True).mean_scores(histories, random_content())
