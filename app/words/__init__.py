"""All sentences that the page shows."""
