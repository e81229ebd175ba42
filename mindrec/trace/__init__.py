"""The trace: frozen records, their JSON and its schema. No torch."""
