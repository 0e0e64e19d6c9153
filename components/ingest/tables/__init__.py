"""Read the catalogue and the users, by the time from which their values hold."""
