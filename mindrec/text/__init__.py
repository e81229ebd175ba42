"""Text features of items and free-text search over titles."""
