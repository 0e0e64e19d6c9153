"""Feature state of users and items: one reducer, run over a log of millions of events and on a single event."""
