"""Character sets of answers (PS3.3 C.12.1.1.2, PS3.5 6.1): each peer hears what it can read.

Text is Unicode in here. Letters that a peer's character set does not have lose their diacritics
("Nguyễn Văn Đức" becomes "Nguyen Van Duc") rather than become question marks.
"""

import codecs
import unicodedata

from pydicom.charset import custom_encoders, encode_string, python_encoding
from pydicom.valuerep import PersonName

_DEFAULT_REPERTOIRE = ("", "ISO_IR 6", "ISO 2022 IR 6")
_WITHOUT_DECOMPOSITION = str.maketrans(
    {"đ": "d", "Đ": "D", "ø": "o", "Ø": "O", "ł": "l", "Ł": "L", "ß": "ss", "æ": "ae", "Æ": "AE"}
)
_FOLD = "filmless-fold"


def ascii_letters(text: str) -> str:
    """The text in ASCII: letters without their diacritics, "?" for what has no ASCII letter."""
    decomposed = unicodedata.normalize("NFD", text.translate(_WITHOUT_DECOMPOSITION))
    bare = "".join(letter for letter in decomposed if not unicodedata.combining(letter))
    return bare.encode("ascii", "replace").decode("ascii")


def _fold_what_cannot_be_encoded(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return ascii_letters(error.object[error.start : error.end]), error.end


codecs.register_error(_FOLD, _fold_what_cannot_be_encoded)


class CharacterSet:
    """A value of SpecificCharacterSet, such as "ISO_IR 192" or "\\ISO 2022 IR 87".

    Raises LookupError where there is no such defined term.
    """

    def __init__(self, terms: str) -> None:
        self.terms = terms
        names = terms.split("\\")
        unknown = [name for name in names if name not in python_encoding]
        if unknown:
            raise LookupError(f"{unknown[0]!r} is no defined term of SpecificCharacterSet")
        self._encodings = [python_encoding[name] for name in names]
        # To pydicom the default repertoire has all letters of Latin 1, to a device ASCII alone.
        self._codecs = [
            "ascii" if name in _DEFAULT_REPERTOIRE else encoding
            for name, encoding in zip(names, self._encodings, strict=True)
        ]
        self._codec = self._codecs[0] if self._is_plain() else None

    @property
    def is_default(self) -> bool:
        """Whether it is the default repertoire, which SpecificCharacterSet does not name."""
        return self.terms in _DEFAULT_REPERTOIRE

    def encode(self, text: str) -> bytes:
        """A text in this character set (LO, LT, SH, ST, UC, UT), not padded."""
        if self._codec is not None:
            return text.encode(self._codec, _FOLD)
        if text.isascii():
            return text.encode("ascii")
        return encode_string(self._encodable(text), self._encodings)

    def encode_name(self, name: str) -> bytes:
        """A person name (PN, PS3.5 6.2.1) with its component groups, not padded."""
        if self._codec is not None:
            return name.encode(self._codec, _FOLD)
        if name.isascii():
            return name.encode("ascii")
        return PersonName(self._encodable(name)).encode(self._encodings)

    def _is_plain(self) -> bool:
        return len(self._codecs) == 1 and self._codecs[0] not in custom_encoders

    def _encodable(self, text: str) -> str:
        return "".join(letter if self._has(letter) else ascii_letters(letter) for letter in text)

    def _has(self, letter: str) -> bool:
        for codec in self._codecs:
            special = custom_encoders.get(codec)
            try:
                special(letter) if special else letter.encode(codec)
            except UnicodeEncodeError:
                continue
            return True
        return False
