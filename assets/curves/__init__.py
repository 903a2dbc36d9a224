"""Assets of the group `curves`: forecast quantiles of the whole curve of each target, their calibration and reasons."""
