"""What the handcrafted visual encoder and captioner say about pictures whose content is known."""

import numpy as np
import pytest

from models.encoders import load
from models.encoders.handcrafted.visual import measure

RNG = np.random.default_rng(0)


def plain(red: int, green: int, blue: int, *, height: int = 40, width: int = 60) -> np.ndarray:
    return np.tile(np.array([red, green, blue], dtype=np.uint8), (height, width, 1))


def test_brightness_saturation_and_hue_of_plain_pictures():
    found = measure([plain(255, 0, 0), plain(0, 0, 255), plain(128, 128, 128)])
    assert found.brightness == pytest.approx([0.299, 0.114, 128 / 255], abs=1e-3)
    assert found.saturation == pytest.approx([1, 1, 0], abs=1e-3)
    assert found.hue[0].argmax() == 0 and found.hue[1].argmax() == 8
    assert found.hue[0].sum() == pytest.approx(1) and found.hue[2].sum() == 0
    assert found.contrast == pytest.approx([0, 0, 0], abs=1e-6) and found.edges == pytest.approx([0, 0, 0])


def test_hue_bins_are_centred_on_pure_hues():
    slightly_violet_red, slightly_orange_red = plain(255, 0, 20), plain(255, 20, 0)
    found = measure([slightly_violet_red, slightly_orange_red])
    assert found.hue.argmax(1).tolist() == [0, 0]


def test_edges_and_their_direction():
    stripes = np.zeros((64, 64, 3), dtype=np.uint8)
    stripes[:, ::8] = stripes[:, 1::8] = 255  # vertical stripes: the luminance changes along x
    found = measure([stripes, stripes.swapaxes(0, 1).copy()])
    assert (found.edges > 0.3).all()
    assert found.orientation[0].argmax() in (0, 7) and found.orientation[1].argmax() in (3, 4)


def test_layout_is_the_mean_colour_of_each_cell():
    image = RNG.integers(0, 256, (64, 64, 3), dtype=np.uint8)
    expected = [
        image[16 * y : 16 * y + 16, 16 * x : 16 * x + 16].mean((0, 1)) / 255 for y in range(4) for x in range(4)
    ]
    np.testing.assert_allclose(measure([image]).layout[0], np.concatenate(expected), atol=1e-5)


def test_motion_is_the_difference_from_the_neighbours():
    still, moved = plain(0, 0, 0), plain(255, 255, 255)
    motion = measure([still, still, moved]).motion
    assert motion[:, 0] == pytest.approx([0, 0, 1]) and motion[:, 1] == pytest.approx([0, 1, 0])
    assert measure([still]).motion.tolist() == [[0, 0, 0, 0]]


def test_a_video_is_encoded_the_same_alone_and_among_others():
    encoder = load("visual", "handcrafted")
    videos = [[RNG.integers(0, 256, (30, 50, 3), dtype=np.uint8) for _ in range(n)] for n in (3, 1, 2)]
    together = encoder.encode_videos(videos)
    for images, vectors in zip(videos, together):
        assert vectors.shape == (len(images), encoder.width) and vectors.dtype == np.float32
        np.testing.assert_array_equal(vectors, encoder.encode(images))


def test_frames_of_several_sizes_and_one_pixel_are_encoded():
    vectors = load("visual", "handcrafted").encode(
        [plain(9, 99, 9, height=1, width=1), plain(9, 99, 9, height=70, width=30)]
    )
    assert np.isfinite(vectors).all()
    np.testing.assert_allclose(vectors[0], vectors[1], atol=1e-3)


def test_no_frames_give_no_rows():
    encoder = load("visual", "handcrafted")
    assert encoder.encode([]).shape == (0, encoder.width)
    assert load("captions", "handcrafted").caption([]) == []


def test_captions_name_light_colour_and_motion():
    captioner = load("captions", "handcrafted")
    dark, orange = plain(3, 3, 3), plain(255, 128, 0)
    assert captioner.caption([dark]) == ["a very dark, grey, plain, flat scene with no motion, mostly black"]
    moving = captioner.caption([dark, orange])
    assert "orange" in moving[1] and "fast motion" in moving[1] and "vivid" in moving[1]
    sky = np.concatenate([plain(250, 250, 250, height=20), plain(10, 10, 10, height=20)])
    assert captioner.caption([sky])[0].endswith("bright top")


def test_similar_scenes_get_similar_captions():
    captioner, words = load("captions", "handcrafted"), load("text", "handcrafted")
    scene = RNG.integers(100, 156, (60, 60, 3)).astype(np.uint8)
    other = plain(10, 10, 200)
    captions = captioner.caption_videos([[scene], [np.clip(scene + 2, 0, 255).astype(np.uint8)], [other]])
    first, near, far = words.encode_sentences([caption for (caption,) in captions])
    assert first @ near > first @ far + 0.2
