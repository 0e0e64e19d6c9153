"""Apply merchandising rules after scoring."""
