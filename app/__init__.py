"""The MindRec app. It must be a package: beside app.py, `import app` would find that file."""
