"""A cluster as the command line sees it: requests, their pods, and the data of their runs."""
