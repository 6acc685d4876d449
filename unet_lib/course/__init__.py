"""The book's own material: checks of exercises, widgets, and the clinic's broken set-ups."""
