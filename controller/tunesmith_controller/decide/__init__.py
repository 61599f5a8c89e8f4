"""The controller's decisions. Pure: what they read is an argument, what is to be done is a return value."""
