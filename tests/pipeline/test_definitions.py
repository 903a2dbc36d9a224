"""The graph as Dagster sees it: names and groups are public, and settings show in the launchpad."""

import dagster as dg

from pipeline.definitions import defs

GRAPH = {
    "ingest": {"videos", "interactions", "counters"},
    "labels": {"popularity"},
    "sampling": {"frames", "audio"},
    "protocol": {"splits"},
    "captions": {"visual_captions", "audio_captions"},
    "embeddings": {"visual_embeddings", "acoustic_embeddings", "text_embeddings", "retrieval_vectors"},
    "audience": {"user_histories", "sasrec", "recommendation_scores"},
    "metadata": {"metadata_features", "author_history", "window_columns"},
    "feedback": {"hawkes_process", "temporal_embeddings"},
    "memory": {"memory_bank", "neighbours"},
    "prediction": {"popularity_model", "evaluation", "predictions", "forecast_service"},
    "curves": {"simulated_curves", "curve_model", "curve_evaluation", "forecast_curves", "forecast_reasons"},
    "monitoring": {"forecast_log", "forecast_scores", "drift", "decided"},
    "reports": {"leaderboard", "report"},
}
EDGES = {
    "popularity": {"videos", "interactions"},
    "frames": {"videos", "popularity"},
    "audio": {"videos", "frames"},
    "splits": {"videos", "popularity", "frames"},
    "visual_captions": {"frames", "splits"},
    "audio_captions": {"audio", "splits"},
    "visual_embeddings": {"frames", "splits"},
    "acoustic_embeddings": {"audio", "splits"},
    "text_embeddings": {"videos", "splits"},
    "retrieval_vectors": {"videos", "visual_captions", "audio_captions"},
    "metadata_features": {"videos", "popularity"},
    "author_history": {"videos", "popularity", "splits"},
    "user_histories": {"videos", "interactions", "popularity", "splits"},
    "sasrec": {"user_histories", "visual_embeddings", "text_embeddings"},
    "recommendation_scores": {"sasrec"},
    "window_columns": {"metadata_features", "author_history", "recommendation_scores", "interactions", "counters"},
    "hawkes_process": {"popularity", "splits"},
    "temporal_embeddings": {"hawkes_process"},
    "memory_bank": GRAPH["embeddings"] | {"temporal_embeddings"},
    "neighbours": {"memory_bank"},
    "predictions": {"evaluation"},
    "forecast_service": {"evaluation"},
    "simulated_curves": {"temporal_embeddings"},
    "curve_model": {"simulated_curves", "neighbours", "window_columns"},
    "curve_evaluation": {"curve_model", "evaluation"},
    "forecast_curves": {"curve_evaluation"},
    "forecast_log": {"predictions", "forecast_curves"},
    "forecast_scores": {"forecast_log"},
    "drift": {"forecast_scores"},
    "decided": {"curve_evaluation"},
    "forecast_reasons": {"predictions"},
    "leaderboard": {"evaluation", "curve_evaluation"},
    "report": {"leaderboard", "forecast_curves", "forecast_reasons", "decided", "drift"},
}


def test_names_and_groups():
    graph = defs.resolve_asset_graph()
    groups: dict[str, set[str]] = {}
    for key in graph.get_all_asset_keys():
        groups.setdefault(graph.get(key).group_name, set()).add(key.to_user_string())
    assert groups == GRAPH


def test_edges():
    graph = defs.resolve_asset_graph()
    for name, parents in EDGES.items():
        found = {key.to_user_string() for key in graph.get(dg.AssetKey(name)).parent_keys}
        assert found >= parents, name


def test_every_per_video_stage_has_a_check_on_its_failures():
    graph = defs.resolve_asset_graph()
    checked = {key.asset_key.to_user_string() for key in graph.asset_check_keys if key.name == "failed_share"}
    others = {"videos", "metadata_features", "temporal_embeddings", "simulated_curves"}
    assert checked == GRAPH["sampling"] | GRAPH["captions"] | GRAPH["embeddings"] | others
