"""The controller: TrainingRequests become Jobs, one stage after another."""
