"""Performance claims, measured side by side with the library that does the same work."""
