"""The grammar that Accept and Content-Type share."""


def split_outside_quotes(text: str, mark: str) -> list[str]:
    """The pieces between marks that stand outside of double quotes; empty pieces are kept."""
    pieces, start, quoted = [], 0, False
    for position, character in enumerate(text):
        if character == '"':
            quoted = not quoted
        elif character == mark and not quoted:
            pieces.append(text[start:position])
            start = position + 1
    pieces.append(text[start:])
    return pieces
