import numpy as np
import pytest

from models.curves.count_cells import places_of, quantiles_of_counts, spread


def test_the_whole_part_of_a_quantile_is_the_quantile_of_the_counts():
    rng = np.random.default_rng(0)
    counts = rng.poisson(2.0, size=(4, 501, 3))
    values = quantiles_of_counts(counts, [0.1, 0.5, 0.9])
    assert values.shape == (4, 3, 3)
    whole = np.quantile(counts, [0.1, 0.5, 0.9], axis=1, method="inverted_cdf")
    assert np.floor(values) == pytest.approx(np.moveaxis(whole, 0, -1), abs=0)


def test_equal_samples_fill_their_cell():
    values = quantiles_of_counts(np.full((1, 1000, 1), 5), [0.1, 0.5, 0.9])
    assert values[0, 0] == pytest.approx([5.1, 5.5, 5.9], abs=1e-3)


def test_places_are_even_and_the_same_for_all_windows_of_an_item():
    items = np.array([str(number) for number in range(300)] * 2)
    places = places_of(items)
    assert (places[:300] == places[300:]).all()
    assert np.histogram(places, bins=10, range=(0, 1))[0] == pytest.approx([60] * 10, abs=4)
    assert spread(np.array([[3.0, np.nan]]), np.array([0.25])).tolist()[0][0] == 3.25
