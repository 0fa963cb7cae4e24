"""Connections, and what their failures are called."""

from sqlalchemy import text

from pacs.database.engine import connect


def test_a_connection_knows_the_product_and_its_time_zone(database_url: str) -> None:
    engine = connect(database_url, application="filmless test")
    with engine.connect() as connection:
        assert connection.execute(text("SHOW application_name")).scalar_one() == "filmless test"
        assert connection.execute(text("SHOW timezone")).scalar_one() == "UTC"
    engine.dispose()
