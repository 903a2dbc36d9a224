"""Assets of the group `sampling`: frames and sound from the media files."""
