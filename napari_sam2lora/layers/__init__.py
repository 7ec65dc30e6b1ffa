"""napari layers: images, masks, previews, prompts, and how they belong together."""
