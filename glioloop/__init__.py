"""The application: everything that is wired together, and nothing that a room below could know."""
