"""What runs in the child process. Its modules import nothing of the project but each other, by their plain names."""
