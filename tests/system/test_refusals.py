"""What `pacs serve` says when it cannot start: one clear line with what to do, and quickly."""

import os
import socket
from collections.abc import Callable

import psycopg
import pytest

from tests.plugins.product import Product, Refusal

pytestmark = [pytest.mark.system, pytest.mark.timeout(120)]

NOBODY = 65534


def the_line(refusal: Refusal) -> str:
    """The one line that says why, of what was said on standard error; status 1, no traceback."""
    said = [line for line in refusal.lines if line.startswith("pacs: ")]
    assert refusal.status == 1, refusal
    assert len(said) == 1, refusal.lines
    assert refusal.lines[-1] == said[0]
    assert not any("Traceback" in line for line in refusal.lines)
    return said[0]


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--colour"], "No such option: --colour"),
        (["now"], "unexpected extra argument"),
        (["--http-port", "many"], "Invalid value for '--http-port'"),
        (["--dicom-port", "104000"], "Invalid value for '--dicom-port'"),
        (["--http-port"], "requires an argument"),
        (["--only", "dicom,toaster"], "toaster is no part"),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, list) else "",
)
def test_wrong_flags(flags: list[str], said: str, new_product: Callable[..., Product]) -> None:
    product = new_product()
    refusal = product.refusal(*flags)
    assert refusal.status == 2
    assert said in " ".join(" ".join(refusal.lines).replace("│", " ").split())
    assert not any("Traceback" in line for line in refusal.lines)
    assert not product.data_dir.exists()


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("PACS_COLOUR", "blue", "unknown setting in the environment: PACS_COLOUR"),
        ("PACS_HOST", "no-such-host.invalid", "--host"),
        ("PACS_HOST", "192.0.2.1", "--host"),
        ("PACS_STORE_URL", "ftp://archive/objects", "store URL 'ftp://archive/objects'"),
        ("PACS_STORE_URL", "file://relative/path", "file:///absolute/directory"),
        ("PACS_STORE_URL", "s3://bucket", "AWS_ACCESS_KEY_ID"),
        ("PACS_DATABASE_URL", "mysql://root@localhost/pacs", "must be PostgreSQL"),
        ("PACS_DATABASE_URL", "the one in the cellar", "postgresql://user:password@host/database"),
    ],
)
def test_settings_that_cannot_be_used(
    name: str, value: str, said: str, new_product: Callable[..., Product]
) -> None:
    product = new_product()
    line = the_line(product.refusal(environment={name: value}))
    assert said in line
    # It was found before anything was made that takes time.
    assert not (product.data_dir / "postgres").exists()


def test_every_wrong_setting_is_named(new_product: Callable[..., Product]) -> None:
    wrong = {
        "PACS_HTTP_PORT": "many",
        "PACS_DICOM_PORT": "-1",
        "PACS_ACK": "never",
        "PACS_AET": "A TITLE THAT IS TOO LONG",
        "PACS_MAX_ASSOCIATIONS": "0",
    }
    line = the_line(new_product().refusal(environment=wrong))
    for name in wrong:
        assert f"{name.removeprefix('PACS_').lower()}: " in line


def test_settings_of_the_file(new_product: Callable[..., Product]) -> None:
    product = new_product()
    product.data_dir.mkdir()
    file = product.data_dir / "pacs.toml"
    file.write_text('colour = "blue"\n')
    assert "colour" in the_line(product.refusal())
    file.write_text("http_port = \n")
    assert "pacs.toml is not valid TOML" in the_line(product.refusal())


@pytest.mark.parametrize("flag", ["--http-port", "--dicom-port"])
def test_port_in_use(flag: str, new_product: Callable[..., Product]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        other_flag = {"--http-port": "--dicom-port", "--dicom-port": "--http-port"}[flag]
        line = the_line(new_product().refusal(flag, str(port), other_flag, "0"))
    assert f"port {port} on 127.0.0.1 is in use" in line
    assert flag in line


def test_one_port_for_both(new_product: Callable[..., Product]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = str(free.getsockname()[1])
    line = the_line(new_product().refusal("--http-port", port, "--dicom-port", port))
    assert port in line
    assert "--http-port" in line
    assert "--dicom-port" in line


def test_data_directory_in_use_and_from_the_future(
    start_product: Callable[..., Product],
) -> None:
    product = start_product(parts="dicom,api")
    line = the_line(product.refusal("--http-port", "0", "--dicom-port", "0"))
    assert f"{product.data_dir} is in use by process " in line
    assert "choose another data directory" in line

    # The first one has taken no harm; and what a later program has made of the tables is refused.
    url = database_url(product)
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    assert product.stop() == 0
    line = the_line(product.refusal("--http-port", "0", "--dicom-port", "0"))
    assert "revision 9999" in line
    assert "start the later version" in line

    (product.data_dir / "postgres" / "cluster" / "PG_VERSION").write_text("12\n")
    line = the_line(product.refusal("--http-port", "0", "--dicom-port", "0"))
    assert "is of PostgreSQL 12" in line
    assert "pg_dump" in line


def database_url(product: Product) -> str:
    """The running product's own database."""
    from pacs.database.embedded import EmbeddedPostgres

    return EmbeddedPostgres(product.data_dir / "postgres").url


def test_data_directory_of_another_version(new_product: Callable[..., Product]) -> None:
    product = new_product()
    product.data_dir.mkdir()
    (product.data_dir / "format").write_text("7\n")
    line = the_line(product.refusal("--http-port", "0", "--dicom-port", "0"))
    assert f"{product.data_dir} has format 7" in line
    assert "start the version that made it" in line


def test_data_directory_that_is_a_file(new_product: Callable[..., Product]) -> None:
    product = new_product()
    product.data_dir.write_text("")
    line = the_line(product.refusal("--http-port", "0", "--dicom-port", "0"))
    assert f"the data directory {product.data_dir} cannot be used" in line
    assert "--data-dir" in line


def test_data_directory_that_is_not_writable(new_product: Callable[..., Product]) -> None:
    product = new_product()
    product.data_dir.mkdir(mode=0o555)
    if os.geteuid() == 0:
        os.chown(product.data_dir, NOBODY, NOBODY)
    line = the_line(product.refusal("--http-port", "0", "--dicom-port", "0", powerless=True))
    assert f"the data directory {product.data_dir} cannot be used: Permission denied" in line
    assert "--data-dir" in line
