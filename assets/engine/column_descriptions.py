"""What each column of the store's tables and stages means, for Dagster's asset pages."""

import re

# integer unix milliseconds
MOMENTS = frozenset(
    {"time", "t0", "observed_until", "label_time", "published_at", "forecast_at", "made_at", "known_at", "scored_at"}
)

OF_A_TABLE = {
    ("audio_captions", "scores"): "CLAP similarity of each description, highest first.",
    ("interactions", "order"): "Position in the data set's table, which orders events of the same millisecond.",
    ("interactions", "type"): "Type of the event, such as comment or like.",
    ("interactions", "time"): "When it happened (unix ms).",
    ("counters", "time"): "When the count was read off (unix ms).",
    ("labels", "count"): "Count of the target at its horizon.",
    ("labels", "source"): "Whether events or counters were counted.",
    ("popularity", "count"): "Count of the first target at its horizon.",
    ("popularity", "target"): "Label of the first target, on the scale that the models are trained on.",
    ("splits", "group"): "Number of the group of near-duplicates, which stay on one side of the split.",
    ("temporal_embeddings", "embedding"): "L rows that embed the observed feedback.",
    ("visual_embeddings", "embedding"): "One vector per sampled frame.",
    ("acoustic_embeddings", "embedding"): "One vector per segment of sound.",
    ("text_embeddings", "embedding"): "One vector per word of the title.",
    ("retrieval_vectors", "embedding"): "One vector of captions, sound descriptions and title, for retrieval.",
    ("decided", "age_hours"): "First age from which the interval stays narrow.",
}
EVERYWHERE = {
    "item": "The video's id.",
    # videos
    "path": "File of the video, relative to the data folder.",
    "sha256": "Hash of the file.",
    "bytes": "Size of the file.",
    "duration": "Length in seconds.",
    "fps": "Frames per second.",
    "width": "Width in pixels.",
    "height": "Height in pixels.",
    "rotation": "Degrees by which players turn the picture.",
    "has_audio": "Whether the file has sound.",
    "has_sound": "1 if the file has sound, 0 if not.",
    "title": "Title.",
    "category": "Category, or its words.",
    "author": "Who published it.",
    "published_at": "When it was published (unix ms).",
    # feedback
    "user": "Who acted.",
    "type": "Type of event.",
    "time": "Moment (unix ms).",
    "metric": "What is counted.",
    "value": "The value on the scale of its column or target.",
    # frames and sound
    "frames": "K sampled frames as JPEG.",
    "timestamps": "Seconds at which the frames were taken.",
    "indices": "Numbers of the frames in the file.",
    "hashes": "Perceptual hash of each frame, 64 bits.",
    "damage": "What is wrong with a file of which only a part could be read.",
    "segments": "Sound around each frame, as 16-bit samples.",
    "rate": "Samples per second.",
    "captions": "One sentence per sampled frame.",
    "descriptions": "The three best descriptions of the sound.",
    "prompt": "The text that was embedded: captions, sound descriptions and title.",
    "embedding": "Vector, or rows of vectors.",
    "rows": "Rows of the embedding that hold something; the others are padding.",
    # protocol
    "t0": "Start of the video's clock: publication, or the first event (unix ms).",
    "t0_source": "Whether t0 is the publication or the first event.",
    "observed_until": "End of the observation window (unix ms).",
    "observed_events": "Events inside the window.",
    "observed_count": "Count of the first target inside the window.",
    "window_complete": "Whether the data reach to the window's end.",
    "label_time": "Moment at which the label is read (unix ms).",
    "labelled": "Whether the label is known.",
    "known": "Whether the label is known.",
    "counts": "Events inside the window, by type.",
    "split": "train, val, test, gap or predict.",
    "protocol": "How the split was drawn.",
    "group": "Group of rows that belong together.",
    "target": "Name of the target, or its value.",
    "target_name": "Target, as METRIC@HORIZON.",
    "count": "Count on the natural scale.",
    "label": "The label, on the scale that the models are trained on.",
    "labels": "Labels for every target.",
    "source": "Where the number comes from.",
    # process and windows
    "log_likelihood": "Log-likelihood of the observed events under the process.",
    "observed": "What was observed: events in the window, or the count that came true.",
    "simulated": "Events that simulation added.",
    "total": "Events in the window, before any cut.",
    "age_hours": "Age at which the forecast is made, in hours since t0; empty for the whole window.",
    "used_hours": "Hours of the window that the process read.",
    "window_hours": "Length of the window in hours.",
    "times": "Hours since t0 of the events that were read.",
    "types": "Types of these events, by number.",
    "younger": "The same video's windows cut at younger ages, for training.",
    "younger_hours": "Ages of the younger windows in hours.",
    "younger_keys": "Retrieval keys of the younger windows.",
    "ages": "Ages in hours, one per window.",
    "quantiles": "Quantiles of the future count per age and horizon.",
    "capped": "Share of continuations that reached the cap, per age.",
    # memory
    "rank": "Rank, from 1 for the best.",
    "neighbour": "Id of the retrieved training video.",
    "score": "Composite similarity (M3TR, eq. 3), or mean click score.",
    "ss_modal": "Content similarity, before scaling.",
    "ss_temp": "Similarity of the feedback, before scaling.",
    "modal_min": "Smallest content similarity of the query, for the scaling.",
    "modal_max": "Largest content similarity of the query.",
    "temp_min": "Smallest similarity of feedback of the query.",
    "temp_max": "Largest similarity of feedback of the query.",
    "mode": "Which similarities were available: composite, or content alone.",
    "bank_version": "Version of the memory bank that was searched.",
    # metadata
    "hour": "Hour of publication, 0 to 23.",
    "weekday": "Weekday of publication, 0 for Monday.",
    "orientation": "landscape, portrait or square.",
    "title_length": "Characters of the title.",
    "title_words": "Words of the title.",
    "hashtag_count": "Hashtags in the title.",
    "mention_count": "Mentions in the title.",
    "hashtags": "The title's hashtags.",
    "language": "Language of the title.",
    "history_items": "Earlier videos of the author.",
    "history_days_since": "Days since the author's latest earlier video.",
    # forecasts and their scores
    "row": "The curve, or a baseline.",
    "crps": "Continuous ranked probability score on log2(1 + count); lower is better.",
    "pinball": "Mean loss over the quantiles; lower is better.",
    "seeds": "Number of models that are averaged.",
    "retrieval": "Which similarities found the neighbours.",
    "predictor": "Row of the evaluation: a predictor or a baseline.",
    "seed": "Seed of the model; empty for rows without one.",
    "items": "Number of videos.",
    "nMSE": "Mean squared error divided by the labels' variance; 1 is the mean.",
    "SRC": "Spearman's rank correlation; 1 is perfect order.",
    "PLCC": "Pearson's correlation.",
    "MAE": "Mean absolute error.",
    "predicted": "Forecast on the scale of the target.",
    "predicted_count": "Forecast as a count.",
    "horizon_hours": "Hours since t0 at which the count is forecast.",
    "counted_so_far": "Count at the age of the forecast.",
    "calibrated": "Whether the quantiles were calibrated on validation items.",
    "neighbours": "The retrieved training videos.",
    "sentence": "The forecast's reasons in one sentence.",
    "model": "Versions that made the forecast.",
    "made_at": "When the forecast was made.",
    "name": "Name.",
    "reason": "Why.",
    "made_of": "Hash of what it was made from.",
}
PATTERNS = (
    (re.compile(r"coverage_(\d\d)"), "Share of outcomes inside the {0} % interval; {0} % is right."),
    (re.compile(r"coverage_(\d\d)_deciles"), "The same share per tenth of the videos, by forecast."),
    (re.compile(r"width_(\d\d)"), "Mean width of the {0} % interval on log2(1 + count)."),
    (re.compile(r"count_width_(\d\d)"), "Mean width of the {0} % interval as a count."),
    (re.compile(r"q(\d\d)"), "Quantile of the count: {0} % of outcomes lie below."),
    (re.compile(r"nMSE_count|PLCC_count|MAE_count"), "The same metric on the natural scale of counts."),
    (
        re.compile(r"history_(known|mean|last|max) (.+)"),
        "Of the author's earlier labels of {1} known at publication: {0}.",
    ),
    (re.compile(r"author_(.+)"), "Column {0} of the author, from the data set."),
    (re.compile(r"(.+)_(low|high)"), "End ({1}) of the 95 % interval of {0}."),
    (re.compile(r"(.+)_versions?"), "Version of {0} that was used."),
)


def description_of(table: str, column: str) -> str | None:
    """Return what a column means, or None if nothing more than its name is known.

    Args:
        table: Name of the table or stage.
        column: Name of the column.
    """
    if known := OF_A_TABLE.get((table, column)) or EVERYWHERE.get(column):
        return known
    for pattern, text in PATTERNS:
        if match := pattern.fullmatch(column):
            return text.format(*match.groups())
    return None
