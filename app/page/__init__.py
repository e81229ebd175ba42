"""The page: template, style and script in their own files, no build step."""
