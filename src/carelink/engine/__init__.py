"""The one path by which a patient is contacted, and the ledger it decides on. Knows ports, not stores or channels."""
