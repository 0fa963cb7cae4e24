"""Settings: flags over environment over pacs.toml, and a clear sentence for what cannot be used."""

from pathlib import Path

import pytest

from pacs.settings import SettingsError, load_settings


def test_flags_win_over_environment_and_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "pacs.toml").write_text('aet = "FROMFILE"\nhttp_port = 1\ndicom_port = 2\n')
    monkeypatch.setenv("PACS_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("PACS_HTTP_PORT", "3")
    settings = load_settings(dicom_port=4)
    assert (settings.aet, settings.http_port, settings.dicom_port) == ("FROMFILE", 3, 4)


@pytest.mark.parametrize(
    ("flags", "word"),
    [
        ({"http_port": 70000}, "http_port"),
        ({"aet": "A" * 17}, "aet"),
        ({"aet": "   "}, "aet"),
        ({"aet": "TWO\\VALUES"}, "aet"),
        ({"aet": "BỆNH VIỆN"}, "aet"),
        ({"colour": 1}, "colour"),
    ],
)
def test_unusable_setting_is_named(tmp_path: Path, flags: dict[str, object], word: str) -> None:
    with pytest.raises(SettingsError, match=word):
        load_settings(data_dir=tmp_path, **flags)


def test_unknown_variable_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PACS_DATABSE_URL", "postgresql://x")
    with pytest.raises(SettingsError, match="PACS_DATABSE_URL"):
        load_settings()


def test_broken_toml_is_said(tmp_path: Path) -> None:
    (tmp_path / "pacs.toml").write_text("aet = ")
    with pytest.raises(SettingsError, match=r"pacs\.toml"):
        load_settings(data_dir=tmp_path)
