"""The words of a greeting."""


def greet(name: str) -> str:
    """Greets one person; without a name, the world."""
    if not name:
        return "Hello, world!"
    return f"Hello, {name}!"
