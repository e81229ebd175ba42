"""The web server: guard, decode queue, health, options."""
