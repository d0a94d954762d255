"""What may be said: template versions, their approved form, and rendering. Not a templating language."""
