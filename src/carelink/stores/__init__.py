"""Where things are kept: databases and the published log folder."""
