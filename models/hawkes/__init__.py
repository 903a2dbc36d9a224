"""Point processes: the Mamba-Hawkes process of M3TR and MUFM, the classical Hawkes process, and those of M3TR's table 2.

docs/process.md describes the model, the defaults and their reasons.
"""

from models.hawkes.exponential import ExponentialHawkes
from models.hawkes.fit import FitReport, fit
from models.hawkes.influence import Influence, InfluenceGraph, draw, influence_graph
from models.hawkes.mamba import MambaHawkesProcess
from models.hawkes.neural_hawkes import NeuralHawkesProcess
from models.hawkes.next_event import NextEvent, next_event
from models.hawkes.penalties import penalty, penalty_slope, shrink
from models.hawkes.poisson import PoissonProcess
from models.hawkes.process import PointProcess
from models.hawkes.raw_events import RawEvents
from models.hawkes.row_source import RowSource
from models.hawkes.serialisation import load, save
from models.hawkes.summary import ParameterEstimate, ProcessSummary, summary

__all__ = [
    "ExponentialHawkes",
    "FitReport",
    "Influence",
    "InfluenceGraph",
    "MambaHawkesProcess",
    "NeuralHawkesProcess",
    "NextEvent",
    "ParameterEstimate",
    "PointProcess",
    "PoissonProcess",
    "ProcessSummary",
    "RawEvents",
    "RowSource",
    "draw",
    "fit",
    "influence_graph",
    "load",
    "next_event",
    "penalty",
    "penalty_slope",
    "save",
    "shrink",
    "summary",
]
