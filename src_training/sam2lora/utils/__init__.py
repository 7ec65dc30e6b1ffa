"""Files, folders, downloads and hashes; imports nothing of this package but its errors."""
