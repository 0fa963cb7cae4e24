"""Studies of an invented Vietnamese hospital: names, days and modalities as they are distributed.

Family names follow their shares in Vietnam, where two people in five are called Nguyễn: names are
what makes searching there hard. Equal seeds make equal studies.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta

LAST_DAY = date(2026, 11, 20)
_DAYS = 5 * 365
_STUDIES_PER_PATIENT = 1.6

_FAMILIES = {
    "Nguyễn": 384, "Trần": 110, "Lê": 95, "Phạm": 71, "Hoàng": 36, "Huỳnh": 15, "Phan": 45,
    "Vũ": 24, "Võ": 15, "Đặng": 21, "Bùi": 20, "Đỗ": 14, "Hồ": 13, "Ngô": 13, "Dương": 10,
    "Lý": 5, "Đinh": 10, "Đoàn": 9, "Trương": 12, "Mai": 6, "Tô": 3, "Châu": 3, "Quách": 2,
    "Khổng": 1, "Ông": 1,
}  # fmt: skip
_MIDDLE = {
    "F": ["Thị", "Thị", "Thị", "Thị Ngọc", "Thị Thu", "Thị Thanh", "Ngọc", "Thu", "Phương", "Kim"],
    "M": ["Văn", "Văn", "Văn", "Đức", "Quang", "Minh", "Hữu", "Xuân", "Đình", "Công", "Quốc"],
}
_GIVEN = {
    "F": "Hoa Lan Hương Mai Hồng Thảo Linh Trang Hà Nga Yến Oanh Phượng Vân Nhung Tuyết Loan Hạnh"
    " Ánh Diễm Bích Châu Cúc Dung Đào Giang Hằng Hiền Huệ Khánh Kiều Lài Liên Liễu Lựu Ly My Mỹ"
    " Nguyệt Nhàn Nhi Nhiên Như Phương Quyên Quỳnh Sen Sương Tâm Thắm Thanh Thoa Thơ Thu Thủy Thúy"
    " Tiên Trâm Trinh Trúc Tuyền Uyên Vy Xuân Ý",
    "M": "Hùng Dũng Đức Vinh Nam Sơn Tuấn Hải Long Thắng Khoa Phúc Thịnh Tâm Hiếu Trung Bình Duy"
    " Ước Khiêm An Anh Bảo Bách Chiến Chính Cường Cảnh Danh Đạt Định Điền Đông Giang Hà Hậu Hoàng"
    " Huy Hưng Khang Khánh Khôi Kiên Lâm Lộc Luân Lực Mạnh Minh Nghĩa Nhân Nhật Phong Phú Phước"
    " Quân Quang Quyết Quý Sang Tài Tân Thái Thành Thiện Thông Thuận Tiến Toàn Trí Trường Tú Tùng"
    " Vũ Vương",
}
_MODALITIES = {"DX": 38, "CR": 14, "CT": 22, "US": 13, "MR": 8, "MG": 3, "XA": 1, "PT": 1}
_DESCRIPTIONS = {
    "DX": ("X-quang ngực thẳng", "X-quang cột sống thắt lưng", "X-quang khớp gối"),
    "CR": ("X-quang ngực thẳng", "X-quang bụng không chuẩn bị"),
    "CT": ("CT sọ não", "CT ngực có thuốc cản quang", "CT bụng"),
    "US": ("Siêu âm bụng tổng quát", "Siêu âm tim"),
    "MR": ("MRI cột sống thắt lưng", "MRI sọ não"),
    "MG": ("X-quang tuyến vú",),
    "XA": ("Chụp mạch vành",),
    "PT": ("PET/CT toàn thân",),
}
_REFERRERS = ("Phạm^Minh", "Lê^Thị Hằng", "Nguyễn^Quốc Anh", "Trần^Đình Khôi")


@dataclass(frozen=True, slots=True)
class Person:
    """Whose study it is."""

    patient_id: str
    name: str
    birth_date: date
    sex: str


@dataclass(frozen=True, slots=True)
class Study:
    """A study of the hospital, with one series of each of its `series` UIDs."""

    person: Person
    uid: str
    day: date
    time: str
    accession_number: str
    study_id: str
    modality: str
    description: str
    referrer: str
    series: tuple[str, ...]


def studies(count: int, seed: str) -> Iterator[Study]:
    """`count` studies of fewer people over five years, in the order in which they were made."""
    source = random.Random(seed)
    people = [
        _person(number, source) for number in range(max(1, int(count / _STUDIES_PER_PATIENT)))
    ]
    days = sorted(source.randrange(_DAYS) for _ in range(count))
    modalities = source.choices(list(_MODALITIES), list(_MODALITIES.values()), k=count)
    for number, (day, modality) in enumerate(zip(days, modalities, strict=True)):
        yield Study(
            person=people[number] if number < len(people) else source.choice(people),
            uid=_uid(source),
            day=LAST_DAY - timedelta(days=_DAYS - 1 - day),
            time=f"{source.randrange(7, 20):02d}{source.randrange(60):02d}00",
            accession_number=f"A{number:09d}",
            study_id=str(number),
            modality=modality,
            description=source.choice(_DESCRIPTIONS[modality]),
            referrer=source.choice(_REFERRERS),
            series=tuple(_uid(source) for _ in range(source.choice((1, 2, 3)))),
        )


def _person(number: int, source: random.Random) -> Person:
    sex = source.choice("FM")
    family = source.choices(list(_FAMILIES), list(_FAMILIES.values()))[0]
    # Some given names are more common than others: the earlier in the list, the more.
    names = _GIVEN[sex].split()
    name = names[int(len(names) * source.random() ** 1.2)]
    given = f"{source.choice(_MIDDLE[sex])} {name}"
    born = date(1930, 1, 1) + timedelta(days=source.randrange(90 * 365))
    return Person(f"BN{number:08d}", f"{family}^{given}", born, sex)


def _uid(source: random.Random) -> str:
    """A UID derived from a random number (PS3.5 B.2)."""
    return f"2.25.{source.getrandbits(122)}"
