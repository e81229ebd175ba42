"""From the search's tensors to the trace's records."""
