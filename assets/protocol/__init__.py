"""Assets of the group `protocol`: observation windows, labels, and the split (docs/protocol.md)."""
