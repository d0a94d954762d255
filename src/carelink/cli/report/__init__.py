"""`carelink audit report`: an exported log as one HTML file that opens from disk and checks itself in the browser."""
