"""The Image list dock: step through the images of a folder; corrected masks are saved."""
