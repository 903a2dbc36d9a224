"""MTIN and its baselines on generated exposures with planted interest groups, time scales and false clicks.

    python -m tests.benchmarks.planted_interests [--models mtin,lstm,bpr] [--seeds 3] [--users 300]

Every user has a few interests: topics of the items' content, each with a time scale of its own. An interest is active
in spells; a slow interest has long spells, a fast one short spells. An item is clicked with high probability if its
topic is one of the user's interests and the interest is active, with lower probability if the interest is dormant, and
else with a small one. Besides, 20 % of all clicks are false: they fall on items of no interest of the user. The share
of clicks is the same for all topics.

Printed per model, as the mean and the 95 % interval over seeds (data and weights): AUC over all test exposures, and
NDCG@10 per user over his test exposures. For MTIN also: the adjusted mutual information between its groups and the
planted interests of the true clicks, and the shares of true and of false clicks in no group.
"""
