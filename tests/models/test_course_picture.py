"""The picture of courses shows what was reached, and both forecasts from the end of the window on."""

import numpy as np

from models.course_picture import Course, draw_courses


def test_truth_and_forecasts_of_each_video():
    horizons = np.array([24.0, 48.0])
    forecast, baseline = np.array([[2, 3], [3, 5], [4, 9.0]]), np.array([[2, 2], [2, 3], [3, 4.0]])
    hours = np.array([1.0, 30.0, 60.0])
    course = Course("slow burn", hours, {"like": hours, "comment": hours[:1]}, 24.0, horizons, forecast, baseline)
    figure = draw_courses([course], counted="likes", forecast="ours", baseline="theirs")
    axes = figure.axes[0]
    by_name = {line.get_label(): line for line in axes.lines}
    np.testing.assert_array_equal(by_name["truth"].get_xydata(), [[0, 0], [1, 1], [30, 2], [48, 2]])
    np.testing.assert_array_equal(by_name["ours, median"].get_xydata(), [[24, 3], [48, 5]])
    np.testing.assert_array_equal(by_name["theirs, median"].get_xydata(), [[24, 2], [48, 3]])
    assert by_name["like"].get_xdata().tolist() == [1.0, 30.0]  # nothing after the last horizon
    assert axes.get_title() == "slow burn" and axes.get_ylabel() == "likes so far"
    assert {"ours, 80 %", "theirs, 80 %"} <= {band.get_label() for band in axes.collections}
    assert not figure.axes[1].axison
