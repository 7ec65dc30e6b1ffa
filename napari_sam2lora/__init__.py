"""The napari plugin: open, segment and correct fundus images, and train adapters on them.

napari imports this package when it starts; everything else is imported when it is used.
"""
