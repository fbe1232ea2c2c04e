"""What a finished run shows: tables for the terminal, figures, and one HTML page that holds them all."""

from minikd.distillation.results import MODELS, Results
from minikd.report.figure_data import FigureData, HistoryRow
from minikd.report.tables import original_tables, summary_table

__all__ = ["MODELS", "FigureData", "HistoryRow", "Results", "original_tables", "summary_table"]
