"""The cluster, as the command line sees it: requests, their pods, and the way to their data."""
