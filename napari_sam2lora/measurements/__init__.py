"""The Measurements dock."""
