from tests.docs.cost_table import DOCS, table


def test_the_costs_of_a_cluster_follow_from_the_measured_rates():
    assert "\n".join(table()) in (DOCS / "cluster.md").read_text(encoding="utf-8"), "python -m tests.docs.cost_table"
