"""Write events to a stream that many replicas of the service share."""
