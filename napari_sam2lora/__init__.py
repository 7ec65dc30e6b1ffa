"""The napari plugin: open, segment and correct fundus images, and train adapters on them.

napari imports this package at startup; everything else is imported when it is used.
"""
