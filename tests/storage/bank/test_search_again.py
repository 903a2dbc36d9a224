"""A search after a night's change gives what a whole search gives, and searches few queries whole."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage.artifact import Artifact
from storage.bank import MemoryBank, build, search_again
from storage.bank.neighbours import Neighbours, Queries

WIDTHS = (6, 4)


@dataclasses.dataclass
class World:
    """Items with all that they have, of which some are members; item i's id is its number, padded."""

    content: np.ndarray
    temporal: np.ndarray
    masks: np.ndarray
    groups: np.ndarray
    labels: np.ndarray
    times: np.ndarray
    member: np.ndarray

    @staticmethod
    def of(
        random: np.random.Generator, count: int, *, distinct: int | None = None, dtype: type = np.float32
    ) -> "World":
        """`distinct`: so many different vectors, so that many tie."""
        vectors = [random.standard_normal((distinct or count, width)).astype(dtype) for width in WIDTHS]
        vectors = [part / np.linalg.norm(part, axis=1, keepdims=True) for part in vectors]
        picked = [random.integers(len(part), size=count) if distinct else np.arange(count) for part in vectors]
        return World(
            *(part[rows].astype(np.float32) for part, rows in zip(vectors, picked, strict=True)),
            masks=random.random((2, count)) < 0.85,
            groups=np.where(random.random(count) < 0.3, random.integers(5, size=count), np.arange(count) + 10),
            labels=random.standard_normal(count),
            times=random.integers(100, size=count) * 1000,
            member=random.random(count) < 0.6,
        )

    def bank(self, banks: Artifact) -> MemoryBank:
        rows = np.flatnonzero(self.member)
        version = build(
            banks,
            items=[f"{row:05d}" for row in rows],
            content=self.content[rows],
            content_mask=self.masks[0, rows],
            temporal=self.temporal[rows],
            temporal_mask=self.masks[1, rows],
            labels=self.labels[rows],
            label_times=self.times[rows],
            groups=self.groups[rows],
            versions={},
        )
        return MemoryBank(version)

    def queries(self, bank: MemoryBank, *, timed: bool) -> Queries:
        return bank.queries(
            self.content,
            self.temporal,
            query_items=[f"{row:05d}" for row in range(len(self.groups))],
            query_groups=self.groups,
            query_times=self.times if timed else None,
            content_mask=self.masks[0],
            temporal_mask=self.masks[1],
        )


def changed(world: World, random: np.random.Generator, share: float) -> World:
    """Another night: members come and go, and vectors, masks, groups, labels and times of some items change."""
    other = World(**{name: values.copy() for name, values in vars(world).items()})
    fresh = World.of(random, len(world.groups))
    for name, values in vars(other).items():
        rows = random.random(len(world.groups)) < share / 4
        if values.ndim == 2 and name == "masks":
            values[:, rows] = fresh.masks[:, rows]
        else:
            values[rows] = getattr(fresh, name)[rows]
    return other


def agree(found: Neighbours, whole: Neighbours) -> None:
    for name, values in vars(whole).items():
        if values.dtype.kind == "f":
            np.testing.assert_allclose(getattr(found, name), values, rtol=1e-5, atol=1e-6, err_msg=name)
        else:
            np.testing.assert_array_equal(getattr(found, name), values, err_msg=name)


@pytest.fixture
def searched(monkeypatch) -> list[int]:
    """How many queries each search was of."""
    counts: list[int] = []
    answer = MemoryBank.answer

    def counted(self: MemoryBank, queries: Queries, *, size: int, **further) -> Neighbours:
        counts.append(len(queries.own))
        return answer(self, queries, size=size, **further)

    monkeypatch.setattr(MemoryBank, "answer", counted)
    return counts


@given(
    seed=st.integers(0, 10**6),
    share=st.sampled_from([0.0, 0.01, 0.05, 0.3]),
    timed=st.booleans(),
    distinct=st.sampled_from([None, 3, 40]),
    size=st.integers(1, 6),
)
@pytest.mark.slow
def test_nights_in_a_row_are_as_whole_searches(tmp_path_factory, seed, share, timed, distinct, size):
    folder, random = tmp_path_factory.mktemp("store"), np.random.default_rng(seed)
    answers, banks = Artifact(folder / "answers"), Artifact(folder / "bank")
    world = World.of(random, 150, distinct=distinct)
    for _ in range(3):
        bank = world.bank(banks)
        queries = world.queries(bank, timed=timed)
        agree(search_again(answers, banks, bank, queries, size=size), bank.answer(queries, size=size))
        world = changed(world, random, share)


def test_one_new_member_in_a_hundred_leaves_most_answers_alone(tmp_path, searched):
    random = np.random.default_rng(0)
    answers, banks = Artifact(tmp_path / "answers"), Artifact(tmp_path / "bank")
    world = World.of(random, 2000)
    world.masks[:] = True
    newcomers = np.flatnonzero(~world.member)[: int(world.member.sum()) // 100]
    bank = world.bank(banks)
    search_again(answers, banks, bank, world.queries(bank, timed=False), size=5)
    world.member[newcomers] = True
    bank = world.bank(banks)
    queries = world.queries(bank, timed=False)
    searched.clear()
    found = search_again(answers, banks, bank, queries, size=5)
    assert 0 < searched[0] < 0.2 * len(queries.own)
    agree(found, bank.answer(queries, size=5))


def test_nothing_is_searched_where_nothing_changed_and_all_where_the_earlier_bank_is_gone(tmp_path, searched):
    random = np.random.default_rng(1)
    answers, banks = Artifact(tmp_path / "answers"), Artifact(tmp_path / "bank")
    world = World.of(random, 100)
    bank = world.bank(banks)
    queries = world.queries(bank, timed=True)
    first = search_again(answers, banks, bank, queries, size=3)
    agree(search_again(answers, banks, bank, queries, size=3), first)
    assert searched == [100]
    search_again(answers, banks, bank, queries, size=4)
    assert searched == [100, 100]
    world.labels[np.flatnonzero(world.member)[0]] += 1
    newer = world.bank(banks)
    banks.activate(newer.version.version)
    del bank
    banks.remove(1)
    agree(search_again(answers, banks, newer, queries, size=4), newer.answer(queries, size=4))
    assert searched[2] == 100


def test_answers_that_are_damaged_are_searched_for_again(tmp_path, searched):
    random = np.random.default_rng(2)
    answers, banks = Artifact(tmp_path / "answers"), Artifact(tmp_path / "bank")
    world = World.of(random, 60)
    bank = world.bank(banks)
    queries = world.queries(bank, timed=False)
    first = search_again(answers, banks, bank, queries, size=3)
    file = answers.current().path / "answers.npz"
    file.write_bytes(file.read_bytes()[:100])
    agree(search_again(answers, banks, bank, queries, size=3), first)
    assert searched == [60, 60]
