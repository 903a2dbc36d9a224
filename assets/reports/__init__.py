"""What a person reads about all models: the leaderboard, ablations, the audit of leaks, scenarios."""
