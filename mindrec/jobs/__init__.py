"""Long jobs in resumable chunks."""
