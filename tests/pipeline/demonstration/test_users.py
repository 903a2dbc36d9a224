import numpy as np

from pipeline.demonstration.users import Audience, audience


def test_users_come_by_taste_times_activity():
    taste = np.array([[1.0, 0.0], [0.5, 0.5], [0.2, 0.8]])
    activity = np.array([1.0, 2.0, 5.0])
    category = np.repeat([0, 1], 20_000)
    user = Audience(taste, activity).draw(category, np.random.default_rng(0))
    for c in (0, 1):
        share = np.bincount(user[category == c], minlength=4)[1:] / 20_000
        expected = taste[:, c] * activity / (taste[:, c] * activity).sum()
        assert (np.abs(share - expected) < 3 * (expected * (1 - expected) / 20_000) ** 0.5 + 1e-12).all()


def test_an_audience_has_tastes_and_a_few_very_active_users():
    crowd = audience(np.random.default_rng(0), users=500)
    assert crowd.taste.shape == (500, 10) and np.allclose(crowd.taste.sum(axis=1), 1)
    assert np.median(crowd.taste.max(axis=1)) > 0.35  # against 0.1 for users without a taste
    assert np.sort(crowd.activity)[-50:].sum() > 0.25 * crowd.activity.sum()
