"""What each tab asks of Python, and the registry of open checkpoints."""
