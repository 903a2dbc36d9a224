"""The cost table of docs/cluster.md, from the rates in docs/encoders.md and docs/media.md.

python -m tests.docs.cost_table      # prints the table
"""

from __future__ import annotations

import re
from pathlib import Path

DOCS = Path(__file__).parents[2] / "docs"
VIDEOS = 1000
INPUTS = {  # stage -> the model's row in docs/encoders.md, inputs per video
    "visual_embeddings (ViT-B/16)": ("ViT-B/16, frames", 10),
    "acoustic_embeddings (AST)": ("AST, segments", 10),
    "visual_captions (BLIP-2)": ("BLIP-2, captions", 10),
    "audio_captions (CLAP)": ("CLAP, segments", 10),
    "text_embeddings (UAE-Large)": ("UAE-Large, texts of 32 tokens", 1),
}
# BLIP-2's rate on the CPU is that of two layers of each part, so it says nothing about the whole model.
UNKNOWN = {("visual_captions (BLIP-2)", "cpu")}
NOT_MEASURED = "not measured"


def rates() -> tuple[dict[str, float], dict[str, float]]:
    """Return inputs per second of each model: on two CPU cores, and on one GPU."""
    text = (DOCS / "encoders.md").read_text(encoding="utf-8")
    cpu, gpu = text.split("On one NVIDIA H200", 1)
    return _column(cpu.split("Measured on 2 cores", 1)[1], 1), _column(gpu, 2)


def frames_per_second() -> float:
    """Return videos per second of the sampling of ten frames: one worker, a key frame every 250."""
    row = next(
        line for line in (DOCS / "media.md").read_text(encoding="utf-8").splitlines() if line.startswith("| ours")
    )
    return float(row.split("|")[3])


def table() -> list[str]:
    """Return the lines of the table: minutes per 1,000 videos."""
    cpu, gpu = rates()
    lines = ["| stage | two CPU cores | one H200 |", "|---|---:|---:|"]
    lines.append(f"| frames (ten per video, decoded on the CPU) | {_minutes(VIDEOS / frames_per_second())} | - |")
    for stage, (model, each) in INPUTS.items():
        on_cpu = NOT_MEASURED if (stage, "cpu") in UNKNOWN else _minutes(VIDEOS * each / cpu[model])
        lines.append(f"| {stage} | {on_cpu} | {_minutes(VIDEOS * each / gpu[model])} |")
    others = (
        "audio",
        "temporal_embeddings",
        "hawkes_process and popularity_model (training)",
        "memory_bank, neighbours",
    )
    return [*lines, *(f"| {stage} | {NOT_MEASURED} | {NOT_MEASURED} |" for stage in others)]


def _column(text: str, number: int) -> dict[str, float]:
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line.startswith("| ")
    ]
    return {row[0]: float(row[number]) for row in rows if re.fullmatch(r"[\d.]+", row[number])}


def _minutes(seconds: float) -> str:
    return f"{seconds / 60:.2g}" if seconds < 600 else f"{seconds / 60:,.0f}"


if __name__ == "__main__":
    print("\n".join(table()))
