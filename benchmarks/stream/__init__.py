"""Measure streams: events from a broker into state, log and figures."""
