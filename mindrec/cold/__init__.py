"""Items added after training: their codes, the command, its evaluation."""
