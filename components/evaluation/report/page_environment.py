"""Make the environment that HTML pages are rendered in."""

from jinja2 import BaseLoader, Environment, StrictUndefined


def page_environment(loader: BaseLoader) -> Environment:
    """Return an environment that escapes text, and in which a name without a value is an error."""
    return Environment(loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
