"""The moving figures, one function per category: `draw(canvas, beat, layout, palette)`.

`beat` is the scene's clock, which runs faster at a higher pace. `layout` holds (16,) numbers in [0, 1), fixed per scene.
`palette` holds four colours: two of the subject, a light one and a dark one.
"""

from math import cos, pi, sin

import numpy as np

from pipeline.demonstration.canvas import Canvas, Colour

Palette = tuple[Colour, Colour, Colour, Colour]


def dance(canvas: Canvas, beat: float, layout: np.ndarray, palette: Palette) -> None:
    """Draw dancers who swing arms and legs under a sweeping spotlight."""
    main, second, light, _ = palette
    h = canvas.height
    sweep = 0.5 + 0.4 * sin(beat + 6 * layout[0])
    canvas.polygon([(0.5, -0.1), (sweep - 0.2, h), (sweep + 0.2, h)], second)
    for i in range(1 + int(3 * layout[1])):
        x, y = 0.2 + 0.6 * ((layout[2] + 0.37 * i) % 1.0), h * (0.45 + 0.2 * layout[3 + i]) + 0.03 * sin(2 * beat + i)
        swing, size = sin(2 * beat + 2 * i), 0.7 + 0.6 * layout[7]
        canvas.disc((x, y - 0.22 * size), 0.07 * size, light)
        canvas.line([(x, y - 0.16 * size), (x, y + 0.1 * size)], main, 0.07 * size)
        for side in (-1, 1):
            reach = (x + side * 0.2 * size, y - 0.1 * size - side * 0.18 * size * swing)
            canvas.line([(x, y - 0.12 * size), reach], main, 0.04)
            canvas.line([(x, y + 0.1 * size), (x + side * (0.1 + 0.06 * swing) * size, y + 0.36 * size)], main, 0.05)


def cooking(canvas: Canvas, beat: float, layout: np.ndarray, palette: Palette) -> None:
    """Draw a pan from above, stirred pieces and rising steam."""
    main, second, light, dark = palette
    h = canvas.height
    x, y, r = 0.35 + 0.3 * layout[0], h * (0.5 + 0.25 * layout[1]), 0.26 + 0.12 * layout[2]
    angle = 2 * pi * layout[3]
    canvas.line([(x, y), (x + 2 * r * cos(angle), y + 2 * r * sin(angle))], dark, 0.08)
    canvas.disc((x, y), r, dark)
    canvas.disc((x, y), 0.86 * r, second)
    for i in range(5 + int(7 * layout[4])):
        turn = 0.5 * beat + 2.4 * i
        away = r * (0.2 + 0.5 * ((0.618 * i + layout[5]) % 1.0))
        canvas.disc((x + away * cos(turn), y + away * sin(turn)), 0.045, main if i % 3 else light)
    for i in range(3):
        rise = (0.2 * beat + i / 3 + layout[6]) % 1.0
        canvas.ring(
            (x - 0.15 + 0.15 * i + 0.05 * sin(3 * rise + i), y - r - 0.6 * rise), 0.03 + 0.05 * rise, light, 0.015
        )


def cats(canvas: Canvas, beat: float, layout: np.ndarray, palette: Palette) -> None:
    """Draw a cat that sways, blinks, swings its tail and follows a ball of wool."""
    main, second, light, dark = palette
    h = canvas.height
    x, y = 0.5 + 0.3 * (layout[0] - 0.5) + 0.05 * sin(beat), h * (0.42 + 0.2 * layout[1])
    size = 0.18 + 0.08 * layout[2]
    tail = [(x + size * (1 + 0.5 * s), y + size * (2 - s) + 0.1 * sin(2 * beat + 3 * s)) for s in (0.0, 0.5, 1.0, 1.5)]
    canvas.line(tail, main, 0.05)
    canvas.disc((x, y + 1.6 * size), 1.2 * size, main)
    canvas.disc((x, y), size, main)
    for side in (-1, 1):
        tip = (x + side * 0.85 * size, y - 1.5 * size + 0.02 * sin(4 * beat))
        canvas.polygon([(x + side * 0.2 * size, y - 0.8 * size), tip, (x + side * size, y - 0.2 * size)], main)
        eye = (x + side * 0.4 * size, y - 0.1 * size)
        if (beat + 3 * layout[3]) % 3.0 > 0.3:
            canvas.disc(eye, 0.2 * size, light)
            canvas.disc((eye[0] + 0.05 * size * sin(beat), eye[1]), 0.1 * size, dark)
        for whisker in (-0.1, 0.1):
            start = (x + side * 0.3 * size, y + 0.4 * size)
            canvas.line([start, (x + side * 1.3 * size, y + (0.4 + 2 * whisker) * size)], dark, 0.008)
    canvas.disc((0.5 + 0.4 * sin(0.7 * beat + 6 * layout[4]), h * 0.9), 0.07 + 0.04 * layout[5], second)


def cars(canvas: Canvas, beat: float, layout: np.ndarray, palette: Palette) -> None:
    """Draw a road with markings and crossing cars before a skyline."""
    main, second, light, dark = palette
    h = canvas.height
    road = h * (0.5 + 0.2 * layout[0])
    for i in range(6):
        tall = 0.1 + 0.4 * layout[4 + i]
        left = (0.25 * i - 0.05 * beat) % 1.5 - 0.25
        canvas.box(left, road - tall, left + 0.18, road, second)
    canvas.box(0, road, 1, h, dark)
    for i in range(5):
        left = (0.3 * i - 0.6 * beat) % 1.5 - 0.25
        canvas.box(left, 0.5 * (road + h), left + 0.15, 0.5 * (road + h) + 0.025, light)
    for i in range(1 + int(2 * layout[1])):
        direction = 1 if (layout[2] + 0.5 * i) % 1 < 0.5 else -1
        x = (layout[3] + 0.5 * i + direction * 0.35 * beat) % 1.6 - 0.3
        y, size = road + 0.12 + 0.25 * i, 0.8 + 0.6 * layout[10]
        canvas.box(x - 0.18 * size, y - 0.08 * size, x + 0.18 * size, y + 0.03 * size, main if i % 2 == 0 else light)
        canvas.box(x - 0.1 * size, y - 0.15 * size, x + 0.09 * size, y - 0.08 * size, light)
        for side in (-1, 1):
            canvas.disc((x + side * 0.11 * size, y + 0.04 * size), 0.045 * size, dark)
            canvas.disc((x + side * 0.11 * size, y + 0.04 * size), 0.02 * size, second)


def nature(canvas: Canvas, beat: float, layout: np.ndarray, palette: Palette) -> None:
    """Draw hills, a low sun, swaying trees and passing birds."""
    main, second, light, dark = palette
    h = canvas.height
    canvas.disc((0.15 + 0.7 * layout[0], h * (0.12 + 0.2 * layout[1]) - 0.01 * beat), 0.1 + 0.08 * layout[2], light)
    for depth, fill in ((0, second), (1, main)):
        base = h * (0.5 + 0.2 * depth + 0.1 * layout[3 + depth])
        wave = [(x / 8, base + 0.12 * sin(x * (0.5 + layout[5 + depth]) + 6 * layout[7 + depth])) for x in range(9)]
        canvas.polygon([(0, h), *wave, (1, h)], fill)
    for i in range(2 + int(4 * layout[9])):
        x, foot = (layout[10] + 0.29 * i) % 1.0, h * (0.85 + 0.1 * ((0.4 * i) % 1))
        tip = (x + 0.03 * sin(beat + i), foot - 0.3 - 0.2 * layout[11])
        canvas.polygon([(x - 0.07, foot), tip, (x + 0.07, foot)], dark)
    for i in range(3):
        x, y = (0.12 * beat + 0.15 * i + layout[12]) % 1.3 - 0.15, h * 0.2 + 0.06 * i + 0.1 * layout[13]
        flap = 0.03 * sin(6 * beat + i)
        canvas.line([(x - 0.05, y - flap), (x, y), (x + 0.05, y - flap)], dark, 0.012)


def sports(canvas: Canvas, beat: float, layout: np.ndarray, palette: Palette) -> None:
    """Draw a court, two running players and a bouncing ball."""
    main, second, light, dark = palette
    h = canvas.height
    ground = h * (0.55 + 0.2 * layout[0])
    tilt = 0.3 * (layout[1] - 0.5)
    canvas.polygon([(0, ground), (1, ground + tilt), (1, h), (0, h)], second)
    for i in range(3):
        x = 0.2 + 0.3 * i + 0.2 * (layout[2] - 0.5)
        canvas.line([(x, ground + tilt * x), (x + 0.8 * (x - 0.5), h)], light, 0.015)
    for side, fill in ((-1, main), (1, dark)):
        x = 0.5 + side * (0.25 + 0.1 * sin(beat * (1 + 0.3 * side) + 6 * layout[3]))
        y = ground + 0.1
        canvas.disc((x, y - 0.28), 0.05, light)
        canvas.line([(x, y - 0.22), (x, y - 0.05)], fill, 0.08)
        for leg in (-1, 1):
            canvas.line([(x, y - 0.05), (x + leg * 0.08 * sin(4 * beat + side), y + 0.14)], fill, 0.035)
    phase = (0.5 * beat + layout[4]) % 2.0
    across = phase if phase < 1 else 2 - phase
    x = 0.2 + 0.6 * across
    canvas.disc((x, ground - abs(sin(3 * pi * across)) * (0.3 + 0.4 * layout[5])), 0.04 + 0.03 * layout[6], main)


def gaming(canvas: Canvas, beat: float, layout: np.ndarray, palette: Palette) -> None:
    """Draw scrolling blocks, a jumping hero, shots and a game's status bars."""
    main, second, light, dark = palette
    h = canvas.height
    cell = 0.1 + 0.05 * layout[0]
    shift = (0.5 * beat) % 1.0
    columns = int(1 / cell) + 2
    for i in range(columns):
        step = int(0.5 * beat) + i
        tall = 1 + int(5 * ((0.618 * step + layout[1]) % 1.0) * (0.5 + layout[2]))
        for j in range(tall):
            left, top = (i - shift) * cell, h - (j + 1) * cell
            canvas.box(left, top, left + 0.92 * cell, top + 0.92 * cell, second if (step + j) % 2 else dark)
    hero = h * 0.55 - abs(sin(1.5 * beat)) * 0.25
    x = 0.2 + 0.3 * layout[3]
    canvas.box(x, hero, x + cell, hero + 1.4 * cell, main)
    canvas.box(x + 0.55 * cell, hero + 0.2 * cell, x + 0.85 * cell, hero + 0.5 * cell, light)
    for i in range(1 + int(4 * layout[4])):
        shot = (x + cell + (0.8 * beat + 0.3 * i) % 1.0, hero + 0.1 * i)
        canvas.box(shot[0], shot[1], shot[0] + 0.05, shot[1] + 0.02, light)
    canvas.box(0.05, 0.06, 0.05 + 0.6 * ((layout[5] - 0.05 * beat) % 1.0), 0.11, main)
    canvas.box(0.05, 0.14, 0.05 + 0.4 * layout[6], 0.18, light)


def news(canvas: Canvas, beat: float, layout: np.ndarray, palette: Palette) -> None:
    """Draw a presenter, an inset picture and a banner with running words."""
    main, second, light, dark = palette
    h = canvas.height
    x = 0.3 + 0.4 * layout[0]
    y = h * (0.4 + 0.1 * layout[1]) + 0.008 * sin(3 * beat)
    canvas.polygon([(x - 0.3, h), (x - 0.2, y + 0.2), (x + 0.2, y + 0.2), (x + 0.3, h)], dark)
    canvas.disc((x, y), 0.14, light)
    canvas.box(x - 0.05, y + 0.06, x + 0.05, y + 0.075 + 0.02 * abs(sin(5 * beat)), dark)
    left, top = 0.05 + 0.5 * layout[2], 0.1 + 0.25 * layout[3]
    canvas.box(left, top, left + 0.38, top + 0.28, second)
    canvas.disc((left + 0.19 + 0.12 * sin(beat), top + 0.14), 0.08, main)
    banner = h * (0.72 + 0.12 * layout[4])
    canvas.box(0, banner, 1, banner + 0.17, main)
    for i in range(7):
        start = (0.22 * i - 0.3 * beat) % 1.54 - 0.27
        canvas.box(start, banner + 0.05, start + 0.08 + 0.1 * layout[5 + i], banner + 0.12, light)
    if (2 * beat) % 2 < 1:
        canvas.box(0.05, banner - 0.12, 0.35, banner - 0.02, light)


def music(canvas: Canvas, beat: float, layout: np.ndarray, palette: Palette) -> None:
    """Draw equaliser bars, a turning record and rings that spread with the beat."""
    main, second, light, dark = palette
    h = canvas.height
    x, y = 0.3 + 0.4 * layout[0], h * (0.25 + 0.2 * layout[1])
    for i in range(3):
        canvas.ring((x, y), 0.15 + 0.6 * ((0.3 * beat + i / 3) % 1.0), second, 0.015)
    radius = 0.17 + 0.08 * layout[2]
    canvas.disc((x, y), radius, dark)
    canvas.disc((x, y), 0.4 * radius, main)
    canvas.line([(x, y), (x + radius * cos(beat), y + radius * sin(beat))], light, 0.015)
    bars = 5 + int(6 * layout[3])
    for i in range(bars):
        level = 0.08 + 0.3 * abs(sin(1.3 * beat * (1 + 0.2 * (i % 3)) + 6 * layout[4 + i % 8]))
        canvas.box((i + 0.15) / bars, h - level, (i + 0.85) / bars, h, main if i % 2 else light)


def diy(canvas: Canvas, beat: float, layout: np.ndarray, palette: Palette) -> None:
    """Draw a bench with planks, a turning wheel, a falling hammer and sparks."""
    main, second, light, dark = palette
    h = canvas.height
    bench = h * (0.65 + 0.15 * layout[0])
    canvas.box(0, bench, 1, bench + 0.06, dark)
    for i in range(2 + int(3 * layout[1])):
        left = 0.05 + 0.2 * i + 0.1 * layout[2]
        canvas.box(left, bench - 0.06 - 0.3 * layout[3 + i], left + 0.12, bench, second)
    x, y, r = 0.25 + 0.5 * layout[8], h * (0.2 + 0.15 * layout[9]), 0.12 + 0.1 * layout[10]
    for i in range(8):
        turn = 0.8 * beat + pi * i / 4
        canvas.line([(x, y), (x + 1.25 * r * cos(turn), y + 1.25 * r * sin(turn))], main, 0.05)
    canvas.disc((x, y), r, main)
    canvas.disc((x, y), 0.4 * r, dark)
    angle = -0.3 - 0.9 * abs(sin(1.5 * beat))
    grip = (0.85 - 0.4 * layout[11], bench)
    head = (grip[0] - 0.35 * cos(angle), grip[1] + 0.35 * sin(angle))
    canvas.line([grip, head], light, 0.035)
    canvas.disc(head, 0.065, dark)
    for i in range(int(6 * layout[12])):
        away = 0.25 * ((beat + 0.2 * i) % 1.0)
        canvas.disc((head[0] + away * cos(i), bench - away * abs(sin(2.1 * i))), 0.012, light)


FIGURES = {
    "dance": dance,
    "cooking": cooking,
    "cats": cats,
    "cars": cars,
    "nature": nature,
    "sports": sports,
    "gaming": gaming,
    "news": news,
    "music": music,
    "diy": diy,
}
