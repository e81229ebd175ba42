"""At which step, and why, a true item was lost."""
