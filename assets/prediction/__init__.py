"""Assets of the group `prediction`: the predictor's training, its evaluation and its predictions."""
