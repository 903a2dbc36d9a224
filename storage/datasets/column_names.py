"""The names under which columns are found: a standard name each, and the spellings that exports and scrapers use.

A column with a standard name always has its meaning. Spellings are looked for only where a table lacks the standard name,
in tiers: the first tier of which the table has a column decides. Two columns of one tier are ambiguous, and refused.
"""

import re
from collections.abc import Mapping

Names = Mapping[str, tuple[str, ...]]
Tiers = Mapping[str, tuple[tuple[str, ...], ...]]

_ITEM = (
    ("video_id", "item_id"),
    ("aweme_id", "photo_id", "post_id", "clip_id", "media_id", "vid", "bvid"),
    ("id",),
    ("url", "video_url", "web_video_url", "link", "permalink"),
)
_PUBLISHED = (
    (
        *("published", "publish_time", "published_time", "publish_date", "published_date", "date_published"),
        *("posted", "posted_on", "uploaded", "uploaded_on", "published_on", "publication_date", "publication_time"),
        *("upload_time", "upload_date", "uploaded_at", "posted_at", "post_time", "post_date", "date_posted"),
        *("created", "created_at", "create_time", "creation_time", "creation_date", "created_utc", "release_date"),
    ),
    ("create_time_iso", "created_time"),
)
_TAKEN = (
    (
        *("scraped_at", "scraped", "scrape_time", "scrape_date", "scraped_date", "date_scraped"),
        *("crawled_at", "crawl_time"),
        *("crawl_date", "fetched_at", "fetch_time", "fetch_date", "collected_at", "collect_time", "collection_time"),
        *("collection_date", "retrieved_at", "retrieval_time", "retrieval_date", "snapshot", "snapshot_at"),
        *("snapshot_time", "snapshot_date", "observed_at", "recorded_at", "record_time", "captured_at", "queried_at"),
        *("query_time", "extracted_at", "trending_date", "as_of", "epoch"),
    ),
)
PLAIN_TIMES = ("time", "timestamp", "datetime", "date")

VIDEO_NAMES: Names = {
    name: (name,)
    for name in (
        *("item", "path", "title", "category", "author", "published_at", "scraped_at"),
        *("language", "duration", "width", "height", "hashtags"),
    )
}
VIDEO_TIERS: Tiers = {
    "item": _ITEM,
    "title": (("video_title", "caption"), ("desc", "text", "video_text", "description", "video_description")),
    "category": (("category_name", "video_category", "category_path", "genre", "topic"), ("category_id",)),
    "author": (
        ("author_id", "user_id", "uid", "uploader_id", "channel_id", "creator_id", "owner_id", "author_meta_id"),
        ("user", "username", "uploader", "creator", "channel", "author_name", "author_username", "author_unique_id"),
        ("channel_title", "channel_name", "author_meta_name", "nickname", "author_nickname"),
    ),
    "published_at": _PUBLISHED,
    "scraped_at": _TAKEN,
    "language": (
        ("lang", "video_language", "text_language"),
        ("default_language", "default_audio_language"),
    ),
    "duration": (
        ("video_duration", "duration_seconds", "duration_sec", "duration_s", "duration_ms"),
        ("length", "video_length", "length_seconds", "video_meta_duration"),
    ),
    "width": (("video_width", "video_meta_width"),),
    "height": (("video_height", "video_meta_height"),),
    "hashtags": (("hashtag",), ("tags", "video_tags", "keywords"), ("challenges",)),
    "description": (("description", "video_description", "desc"),),
}
EVENT_NAMES: Names = {name: (name,) for name in ("item", "user", "type", "time")}
EVENT_TIERS: Tiers = {
    "item": _ITEM,
    "user": (("user_id", "uid"), ("username", "user_name")),
    "type": (("event", "event_type", "action", "action_type", "behavior", "behaviour"),),
    "time": (("timestamp", "datetime", "timestamp_ms", "time_ms"), ("event_time", "created_at", "create_time", "date")),
}
COUNTER_NAMES: Names = {name: (name,) for name in ("item", "time", "metric", "value")}
COUNTER_TIERS: Tiers = {
    "item": _ITEM,
    "time": (("timestamp", "datetime", "date", "timestamp_ms", "time_ms"), *_TAKEN),
    "metric": (("metric_name", "counter"),),
    "value": (("metric_value", "count"),),
}
AUTHOR_NAMES: Names = {name: (name,) for name in ("author", "time")}
AUTHOR_TIERS: Tiers = {
    "author": (*VIDEO_TIERS["author"][:2], ("id",)),
    "time": (("timestamp", "datetime", "date"), *_TAKEN),
}

_METRICS = {
    **{word: word for word in ("view", "play", "like", "comment", "share", "repost", "retweet", "reply", "loop")},
    **{
        word: word
        for word in (
            "save",
            "bookmark",
            "download",
            "dislike",
            "forward",
            "favorite",
            "reaction",
            "impression",
            "upvote",
        )
    },
    "digg": "like",
    "heart": "like",
    "favourite": "favorite",
    "collect": "save",
}
_WRAPPED = re.compile(r"^(?:statistics|stats|publicmetrics|video|total|numberof|noof|num|cnt|n)(?=[a-z])")
_COUNTED = re.compile(r"(?:counts?|cnt|num|numbers?|total|alltime)$")


def fold(name: str) -> str:
    """Return the form in which column names are compared: equal for `User ID`, `user_id`, `user.id` and `userid:`."""
    return re.sub(r"[\W_]+", "", name).lower()


def metric_of(column: str) -> str | None:
    """Return the metric that a column counts, by its name; None if the name is not one of a usual counter.

    Example:
        >>> [metric_of(name) for name in ("views", "play_count", "statistics.likeCount", "diggCount", "duration")]
        ['view', 'play', 'like', 'like', None]
    """
    word = _COUNTED.sub("", _WRAPPED.sub("", fold(column)))
    for stem in (word, word.removesuffix("s"), word.removesuffix("ies") + "y"):
        if stem in _METRICS:
            return _METRICS[stem]
    return None
