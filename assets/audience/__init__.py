"""Assets of the group `audience`: histories of users, recommenders, and the scores that they give to items."""
