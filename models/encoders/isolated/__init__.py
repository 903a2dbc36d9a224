"""Libraries whose versions don't go with the rest: each in an environment of its own, reached through a child process."""
