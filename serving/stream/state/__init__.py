"""Apply batches of events to the state in Redis: each event once, whatever is killed or repeated."""
