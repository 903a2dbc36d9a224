"""The small data set and the runs of the assets' tests."""

from tests.assets.conftest import materialise, plain_set, settings_of, tiny, tiny_cache  # noqa: F401
