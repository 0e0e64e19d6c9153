"""Which versions are served: loading, labels, unloading."""
