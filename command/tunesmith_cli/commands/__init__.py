"""What a person types: one module per group of commands, and what they share (options, screen, place)."""
