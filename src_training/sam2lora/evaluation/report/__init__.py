"""The report of an evaluation: its schema, tables, plots, gallery, and two reports compared."""
