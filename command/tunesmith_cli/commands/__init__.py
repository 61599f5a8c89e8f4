"""What a person types: a module for each command or group of commands, and what they share (options, target,
screen, terminal).
"""
