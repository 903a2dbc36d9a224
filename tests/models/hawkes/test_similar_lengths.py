import torch

from models.hawkes.similar_lengths import WASTE, rows_in_order, similar_lengths


def test_groups_hold_every_row_once_and_little_padding():
    lengths = torch.tensor([64, 512, 0, 64, 300, 70, 64, 511, *[64] * 90])
    groups = list(similar_lengths(lengths))
    assert sorted(torch.cat(groups).tolist()) == list(range(len(lengths)))
    for group in groups:
        padding = int(lengths[group].max()) * len(group) - int(lengths[group].sum())
        assert padding <= WASTE
    assert 1 < len(groups) < 5
    assert all(int(a) >= int(b) for a, b in zip(lengths[torch.cat(groups)], lengths[torch.cat(groups)][1:]))


def test_a_group_has_at_most_the_given_cells_unless_one_row_has_more():
    groups = list(similar_lengths(torch.tensor([10, 10, 10, 50]), cells=20))
    assert [group.tolist() for group in groups] == [[3], [0, 1], [2]]


def test_results_of_groups_come_back_in_the_order_of_the_rows():
    lengths = torch.tensor([3, 4000, 5, 4000, 1])
    groups = list(similar_lengths(lengths))
    assert len(groups) > 1
    assert torch.equal(rows_in_order(groups, [lengths[group] for group in groups]), lengths)


def test_no_row_is_one_empty_group():
    assert [group.tolist() for group in similar_lengths(torch.tensor([], dtype=torch.int64))] == [[]]
