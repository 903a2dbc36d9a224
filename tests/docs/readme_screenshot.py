"""Makes the README's picture of the UI from the screenshots that the browser's tests keep.

SCREENSHOTS=/tmp/shots make browser
python -m tests.docs.readme_screenshot --folder /tmp/shots
"""

from __future__ import annotations

import argparse
from pathlib import Path

from PIL import Image

from tests.docs.pages import ROOT

PAGE, TARGET = "visual_captions.png", ROOT / "docs" / "ui_captions.webp"
HEIGHT = 1000  # of 2,400 pixels: the asset's picture and its first numbers


def main() -> None:
    """Crop, and keep the picture below 200 kB."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, required=True, help="folder of the screenshots")
    with Image.open(parser.parse_args().folder / PAGE) as shot:
        shot.convert("RGB").crop((0, 0, shot.width, min(HEIGHT, shot.height))).save(TARGET, quality=80)
    print(f"{TARGET}: {TARGET.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()
