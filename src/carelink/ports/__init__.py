"""What the engine needs from the outside and what the outside must keep to. Protocols and rows, no I/O."""
