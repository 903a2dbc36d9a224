"""Sections of the report: one file per question, each a function (store, settings) -> blocks."""
