"""The report of a finished run: tables for the terminal, figures, and one HTML page."""

from minikd.distillation.results import MODELS, Results
from minikd.report.figure_data import FigureData, HistoryRow
from minikd.report.tables import original_tables, summary_table

__all__ = ["MODELS", "FigureData", "HistoryRow", "Results", "original_tables", "summary_table"]
