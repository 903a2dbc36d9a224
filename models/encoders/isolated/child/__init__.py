"""The code of the child process. Its modules import each other by their plain names, and nothing else of the project."""
