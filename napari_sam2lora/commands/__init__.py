"""Commands of napari's menus: views, new masks, exports."""
