"""Libraries whose dependencies conflict with the project's: each runs in a child process with an environment of its own."""
