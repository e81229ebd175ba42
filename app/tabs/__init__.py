"""The answers to every tab's questions, and the registry of open checkpoints."""
