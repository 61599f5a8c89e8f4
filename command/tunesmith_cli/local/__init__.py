"""Runs requests on this machine: each stage is a process, and a run of a store has one runner at a time."""
