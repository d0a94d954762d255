"""The decision core: facts and policy in, a decision with all its reasons out. Pure and total."""
