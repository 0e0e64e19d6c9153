"""Say in words what a model's feature attributions are about: only what the values of the request show."""
