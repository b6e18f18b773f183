"""Pages for staff and drivers."""
