"""Assets of the group `metadata`: what is known of a video besides its content and its audience, and tables for predictors."""
