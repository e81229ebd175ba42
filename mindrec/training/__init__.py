"""Training: windows of sequences in, a checkpoint out."""
