"""Read events from a stream into the online state and the event log, each exactly once."""
