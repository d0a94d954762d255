"""Screening of rendered texts for what may not be written to patients. Data in, findings out; no I/O, no clock."""
