"""What a patient's reply means: the opt-out grammar. Pure; the words are data (`carelink.packs.optout`)."""
