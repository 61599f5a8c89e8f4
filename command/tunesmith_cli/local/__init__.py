"""Runs requests on this machine: each stage a process, one run at a time for each run of a store."""
