"""Assets of the group `monitoring`: every forecast as it was made, and its score once its label is known."""
