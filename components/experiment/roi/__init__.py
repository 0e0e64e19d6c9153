"""The return of a programme of experiments: gains shrunk for selection, costs, payback, sensitivity, as a page and a PDF."""
