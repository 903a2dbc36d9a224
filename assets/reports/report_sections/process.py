"""What the process learned: an intensity taken apart, who excites whom, and whether the waits fit."""

from __future__ import annotations

from assets.curves.intensity_figure import intensity_figure
from assets.engine.nothing_to_show import NothingToShow
from assets.feedback.hawkes_process import fitted_process, load_encoder
from assets.reports.charts import as_picture
from assets.reports.document import Paragraph
from assets.reports.page import PageBlock, Pictures
from assets.settings import Settings
from models.hawkes.influence import draw, influence_graph
from models.pictures import draw_qq
from storage.store import Store


def intensity(store: Store, settings: Settings) -> list[PageBlock]:
    """Return the intensity of one video with the terms that it is made of (M3TR figure 8)."""
    figure = intensity_figure(store, settings)
    title = figure.get_suptitle()
    figure.suptitle("")
    figure.axes[0].set_ylabel("events per hour")
    figure.axes[-1].set_xlabel("hours since publication")
    text = (
        "Above: the intensity in events per hour, and what the classical part alone would give. The area is the network's "
        "term: it lowers the intensity where it is negative. Middle: all terms inside the link, stacked. Below: the events."
    )
    return [Paragraph(text), as_picture(figure, f"{title[:1].upper()}{title[1:]}.", height=6.2)]


def influences(store: Store, settings: Settings) -> list[PageBlock]:
    """Return which types of events excite which (M3TR appendix C.8.2)."""
    version, _ = fitted_process(store)
    encoder = load_encoder(version)
    if encoder is None or encoder.process.excitation is None:
        raise NothingToShow("the process in service has no matrix of influences (process.intensity)")
    graph = influence_graph(encoder.process, names=[name[:24] for name in version.metadata["types"]])
    strongest = graph.influences[:3]
    text = "; ".join(f"an event of {one.source} causes {one.offspring:.2f} of {one.target}" for one in strongest)
    figure = draw(graph)
    for axes in figure.axes:
        axes.grid(visible=False)
    lead = f"Strongest first: {text}. Branching ratio {graph.branching_ratio:.2f}; below 1, waves die out."
    title = "Expected events of one type that an event of another type causes directly."
    return [Paragraph(lead), Pictures([as_picture(figure, title, height=4)])]


def residuals(store: Store, settings: Settings) -> list[PageBlock]:
    """Return the Q-Q plot of the rescaled times between events on validation items."""
    metadata = fitted_process(store)[0].metadata
    if not metadata.get("quantiles"):
        raise NothingToShow("the process in service was not scored on validation items")
    figure = draw_qq(*metadata["quantiles"])
    text = (
        f"On the diagonal, the process fits. Kolmogorov-Smirnov distance {metadata['dev_ks_statistic']:.3f}, "
        f"p = {metadata['dev_ks_p_value']:.2g}; {metadata['expected_events_per_event']:.2f} expected per observed event."
    )
    picture = as_picture(figure, "Quantiles of the rescaled times between events of validation items.", height=4.4)
    return [Paragraph(text), Pictures([picture])]
