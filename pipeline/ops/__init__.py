"""Servers, releases and the guard on this machine."""
