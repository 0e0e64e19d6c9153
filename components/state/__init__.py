"""What is known of a user or an item at a moment: one reducer, run over millions of events and on one."""
