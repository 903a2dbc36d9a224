"""Temporal rows: fixed shape, completed by simulation, masked where nothing came, telling items apart, learnable."""

import pytest
import torch

from models import temporal
from models.events import EventBatch
from models.hawkes import MambaHawkesProcess
from models.temporal import RowlessEncoder, TemporalEncoder

LENGTH = 16


def make_process(**options):
    torch.manual_seed(0)
    process = MambaHawkesProcess(3, hidden=8, state=4, **options)
    process.baseline.data.fill_(-1.0)
    process.head.weight.data.normal_(std=0.3)
    process.time_scale.fill_(2.0)
    if process.excitation is not None:
        process.excitation.branching.data.fill_(0.1)
    return process.eval()


def make_batch():
    """No event, one, some, and more than there are rows."""
    counts = [0, 1, 5, 40]
    times = [torch.linspace(0.1, 23, n, dtype=torch.float64).tolist() for n in counts]
    return EventBatch.from_sequences(times, [[i % 3 for i in range(n)] for n in counts], t_end=[24.0] * 4)


@pytest.fixture
def encoder():
    return TemporalEncoder(make_process(), length=LENGTH)


def test_every_item_is_completed_to_the_length(encoder):
    completed = encoder.complete(make_batch(), seeds=[1, 2, 3, 4])
    assert completed.observed.tolist() == [0, 1, 5, 40]
    assert completed.simulated.tolist() == [16, 15, 11, 0]
    assert completed.events.lengths.tolist() == [16, 16, 16, 40]
    assert completed.events.times[2, :5].tolist() == make_batch().times[2, :5].tolist()
    assert float(completed.events.times[2, 5]) > 24.0  # conditioned on a window without further events
    rows, mask = encoder(completed)
    assert rows.shape == (4, LENGTH, encoder.width) and mask.shape == (4, LENGTH)
    assert bool(mask.all()) and bool(torch.isfinite(rows).all())


def test_an_item_depends_on_its_seed_alone(encoder):
    together = encoder.complete(make_batch(), seeds=[1, 2, 3, 4])
    alone = encoder.complete(make_batch()[[2]], seeds=[3])
    torch.testing.assert_close(encoder(alone)[0][0], encoder(together)[0][2], rtol=1e-4, atol=1e-5)
    other = encoder.complete(make_batch()[[2]], seeds=[4])
    assert not torch.equal(other.events.times[0, 5:16], together.events.times[2, 5:16])


def test_more_events_than_rows_are_sampled_evenly_with_both_ends(encoder):
    completed = encoder.complete(make_batch(), seeds=[1, 2, 3, 4])
    time = torch.expm1(encoder(completed)[0][3, :, 8 + 3].detach().double())
    assert float(time[0]) == pytest.approx(0.1, rel=1e-4) and float(time[-1]) == pytest.approx(23.0, rel=1e-4)
    steps = time.diff()
    assert bool((steps > 0).all()) and float(steps.max()) < 1.7 * float(steps.min())


def test_rows_hold_what_they_say(encoder):
    """h, log intensities just after the event, time, rank, observed or simulated, and the item's summary."""
    completed = encoder.complete(make_batch(), seeds=[1, 2, 3, 4])
    rows, _ = encoder(completed)
    events, process = completed.events, encoder.process
    h, k = process.hidden, process.num_types
    torch.testing.assert_close(rows[2, :, :h], process.hidden_states(events)[2, 1 : LENGTH + 1])
    just_after = torch.nextafter(events.times[[2], :LENGTH], torch.tensor(1e9, dtype=torch.float64))
    intensity = process.intensity(events[[2]], just_after)[0]
    torch.testing.assert_close(rows[2, :, h : h + k].exp(), intensity, rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(rows[2, :, h + k].double(), events.times[2, :LENGTH].log1p(), rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(rows[2, :, h + k + 1], torch.arange(2.0, LENGTH + 2).log())
    assert rows[2, :, h + k + 2].tolist() == [1.0] * 5 + [0.0] * 11
    summary = torch.log1p(torch.tensor([5.0, 24.0, 5.0 / 24.0, 24.0]))
    torch.testing.assert_close(rows[2, :, -4:], summary.expand(LENGTH, 4))


def test_a_frozen_history_gives_other_simulated_events_and_is_saved(encoder, tmp_path):
    """The rows of observed events stay; simulated ones come as if none of them had excited the next."""
    frozen = TemporalEncoder(encoder.process, length=LENGTH, history="frozen")
    temporal.save(frozen, tmp_path)
    completed = temporal.load(tmp_path).complete(make_batch(), seeds=[1, 2, 3, 4])
    updated = encoder.complete(make_batch(), seeds=[1, 2, 3, 4])
    assert torch.equal(completed.events.times[2, :5], updated.events.times[2, :5])
    assert float(completed.events.times[1, 15]) > float(updated.events.times[1, 15])  # less excitation, later events
    with pytest.raises(ValueError, match="history must be one of updated, frozen; given 'melted'"):
        TemporalEncoder(encoder.process, length=LENGTH, history="melted")


@pytest.mark.parametrize(
    "channels, places",
    [
        ("state", [*range(11)]),
        ("state+rate", [*range(11), 14, 16]),
        ("handmade", [*range(11, 18)]),
        ("all", [*range(18)]),
    ],
)
def test_a_choice_of_channels_keeps_these_and_no_others(channels, places, tmp_path):
    """Eight of h and three log intensities; then time, rank, observed; then count, age, rate, window."""
    whole = TemporalEncoder(make_process(), length=LENGTH)
    part = TemporalEncoder(make_process(), length=LENGTH, channels=channels)
    completed = whole.complete(make_batch(), seeds=[1, 2, 3, 4])
    assert torch.equal(part(completed)[0], whole(completed)[0][..., places])
    temporal.save(part, tmp_path)
    assert torch.equal(temporal.load(tmp_path)(completed)[0], part(completed)[0])


def test_unknown_channels_are_refused_with_those_that_exist():
    with pytest.raises(ValueError, match="one of state, state\\+rate, all, handmade; given 'none'"):
        TemporalEncoder(make_process(), length=LENGTH, channels="none")


def test_a_window_of_no_length_in_which_nothing_was_seen_has_no_rows(encoder):
    """At publication: what the process expects of any video tells nothing about this one."""
    batch = EventBatch.from_sequences([[], [0.0]], [[], [1]], t_end=[0.0, 0.0])
    completed = encoder.complete(batch, seeds=[1, 2], window=torch.full((2,), 24.0, dtype=torch.float64))
    assert completed.simulated.tolist() == [0, LENGTH - 1]  # a first event, at t = 0, is known
    rows, mask = encoder(completed)
    assert mask.sum(1).tolist() == [0, LENGTH] and not bool(rows[0].any())


def test_without_a_process_no_sequence_is_extended_and_no_row_is_real():
    encoder = RowlessEncoder(LENGTH)
    completed = encoder.complete(make_batch(), seeds=[1, 2, 3, 4], total=torch.tensor([0, 1, 5, 60]))
    assert completed.observed.tolist() == [0, 1, 5, 40] and completed.total.tolist() == [0, 1, 5, 60]
    assert not bool(completed.simulated.any()) and completed.age.tolist() == completed.window.tolist() == [24.0] * 4
    rows, mask = encoder(completed)
    assert rows.shape == (4, LENGTH, encoder.width) and not bool(mask.any())
    assert encoder.log_likelihood(make_batch()).tolist() == [0.0] * 4


def test_age_planned_window_and_count_are_separate_inputs(encoder):
    """An item seen for 3 of 24 hours, of whose 70 events the first 40 entered the sequence."""
    times = torch.linspace(0.1, 2.0, 40, dtype=torch.float64)
    batch = EventBatch.from_sequences([times.tolist()], [[0] * 40], t_end=[2.0])
    given = {name: torch.tensor([value], dtype=torch.float64) for name, value in (("age", 3.0), ("window", 24.0))}
    completed = encoder.complete(batch, seeds=[1], total=torch.tensor([70]), **given)
    summary = torch.log1p(torch.tensor([70.0, 3.0, 70.0 / 3.0, 24.0]))
    torch.testing.assert_close(encoder(completed)[0][0, :, -4:], summary.expand(LENGTH, 4))
    assert float(completed.events.t_end[0]) == 2.0  # the likelihood's stretch stays that of the events used


def test_a_sequence_that_was_cut_short_is_not_continued(encoder):
    """What came after its events was observed: to simulate it would be untrue."""
    batch = EventBatch.from_sequences([[0.5, 1.0]] * 2, [[0, 1]] * 2, t_end=[1.0, 1.0])
    age = torch.tensor([24.0, 1.0], dtype=torch.float64)
    completed = encoder.complete(batch, seeds=[1, 2], total=torch.tensor([9, 2]), age=age)
    assert completed.simulated.tolist() == [0, 14]
    assert encoder(completed)[1].sum(1).tolist() == [2, 16]


def test_what_a_quiet_process_leaves_out_is_masked():
    process = make_process()
    process.baseline.data.fill_(-40.0)
    process.excitation.branching.data.zero_()
    encoder = TemporalEncoder(process, length=LENGTH)
    completed = encoder.complete(make_batch(), seeds=[1, 2, 3, 4])
    assert completed.simulated.tolist() == [0, 0, 0, 0]
    rows, mask = encoder(completed)
    assert mask.sum(1).tolist() == [0, 1, 5, 16]
    assert float(rows[~mask].detach().abs().max()) == 0.0 and bool(torch.isfinite(rows).all())


def test_an_explosive_process_ends_at_the_length_and_at_max_events():
    process = make_process()
    process.excitation.branching.data.fill_(2.0)
    assert process.branching_ratio() > 1
    encoder = TemporalEncoder(process, length=LENGTH)
    assert encoder.complete(make_batch(), seeds=[1, 2, 3, 4]).events.lengths.tolist() == [16, 16, 16, 40]
    assert encoder.complete(make_batch(), seeds=[1, 2, 3, 4], max_events=3).simulated.tolist() == [3, 3, 3, 0]


def test_the_standardiser_centres_the_training_items(encoder):
    completed = encoder.complete(make_batch(), seeds=[1, 2, 3, 4])
    encoder.fit_standardiser([completed[[0, 1]], completed[[2, 3]]])
    rows, mask = encoder(completed)
    channels = rows[mask].double()
    torch.testing.assert_close(channels.mean(0), torch.zeros_like(channels[0]), rtol=0, atol=1e-4)
    varying = channels.std(0) > 0
    assert int((~varying).sum()) == 2  # age and planned window are the same for all these items
    torch.testing.assert_close(
        channels.std(0, correction=0)[varying], torch.ones(int(varying.sum())).double(), atol=1e-3, rtol=0
    )
    with pytest.raises(ValueError, match="at least one event"):
        encoder.fit_standardiser([])


def test_pooled_rows_tell_how_many_were_observed_and_how_fast():
    """A dot product of mean-pooled rows sees the observed count and its rate, whatever was simulated after."""
    encoder = TemporalEncoder(make_process(), length=LENGTH)
    counts = [1, 2, 4, 8, 14]
    times = [torch.linspace(0.5, 20, n, dtype=torch.float64).tolist() for n in counts] * 2
    batch = EventBatch.from_sequences(times, [[0] * len(t) for t in times], t_end=[24.0] * 5 + [48.0] * 5)
    completed = encoder.complete(batch, seeds=range(10))
    encoder.fit_standardiser([completed])
    rows, mask = encoder(completed)
    pooled = (rows * mask[..., None]).sum(1) / mask.sum(1, keepdim=True)
    distance = torch.cdist(pooled[:, -5:], pooled[:, -5:])
    assert bool((distance[:5, :5].argsort(1)[0] == torch.arange(5)).all())  # farther the more the counts differ
    assert float(distance[0, 5].detach()) > 0.1  # the same events in twice the window: another rate


@pytest.mark.parametrize("form", ["m3tr", "mufm"])
def test_rows_and_likelihood_are_differentiable_in_the_process(form):
    encoder = TemporalEncoder(make_process(intensity=form), length=LENGTH)
    completed = encoder.complete(make_batch(), seeds=[1, 2, 3, 4])
    rows, mask = encoder(completed)
    weights = torch.randn(rows.shape, generator=torch.Generator().manual_seed(0))
    (rows[mask] * weights[mask]).sum().backward()
    for name in ("process.network.embedding.weight", "process.head.weight", "process.baseline"):
        gradient = encoder.get_parameter(name).grad
        assert gradient is not None and float(gradient.abs().max()) > 0, name
    encoder.zero_grad()
    likelihood = encoder.log_likelihood(make_batch())
    assert likelihood.shape == (4,)
    torch.testing.assert_close(likelihood, encoder.process.log_likelihood(make_batch()))
    likelihood.sum().backward()
    assert float(encoder.process.head.weight.grad.abs().max()) > 0


def test_an_encoder_comes_back_from_its_folder(encoder, tmp_path):
    completed = encoder.complete(make_batch(), seeds=[1, 2, 3, 4])
    encoder.fit_standardiser([completed])
    temporal.save(encoder, tmp_path / "encoder")
    back = temporal.load(tmp_path / "encoder")
    assert back.length == LENGTH and back.width == encoder.width and not back.training
    assert torch.equal(back(completed)[0], encoder(completed)[0])
    with pytest.raises(ValueError, match="holds no temporal encoder"):
        temporal.load(tmp_path)


def test_a_length_below_one_is_refused():
    with pytest.raises(ValueError, match="at least 1; given 0"):
        TemporalEncoder(make_process(), length=0)


def test_no_item_at_all_gives_no_rows_and_a_bool_an_item_chooses(encoder):
    completed = encoder.complete(make_batch(), seeds=[1, 2, 3, 4])
    assert completed[completed.simulated < 16].observed.tolist() == [1, 5, 40]
    rows, mask = encoder(completed[[]])
    assert rows.shape == (0, LENGTH, encoder.width) and mask.shape == (0, LENGTH)
