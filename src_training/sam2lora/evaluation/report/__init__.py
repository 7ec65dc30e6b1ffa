"""Evaluation reports: schema, tables, plots and gallery, and the comparison of two reports."""
