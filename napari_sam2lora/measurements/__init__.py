"""The Measurements dock: areas, diameters and ratios of an image's masks."""
