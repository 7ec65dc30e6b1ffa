"""The Image list dock: a folder of images, stepped through, masks saved on the way."""
