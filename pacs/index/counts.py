"""How many instances a study and its series hold.

While images keep coming nobody counts: whoever asks counts for himself (pacs.index.query). The
numbers are written down once the study has been found quiet, and whenever something comes that does
not wake it again, such as the result of an AI.
"""

from collections.abc import Sequence

from sqlalchemy import Connection

_COUNT = """
WITH counted AS (
  SELECT e.id AS series_ref, e.study_ref, count(i.id) AS instances
  FROM series e LEFT JOIN instances i ON i.series_ref = e.id AND i.current
  WHERE e.study_ref = ANY(%(studies)s)
  GROUP BY e.id, e.study_ref),
of_series AS (
  UPDATE series SET number_of_instances = c.instances
  FROM counted c WHERE series.id = c.series_ref AND number_of_instances <> c.instances)
UPDATE studies SET number_of_instances = c.instances
FROM (SELECT study_ref, sum(instances) AS instances FROM counted GROUP BY study_ref) c
WHERE studies.id = c.study_ref AND number_of_instances <> c.instances
"""


def count_instances(connection: Connection, studies: Sequence[int]) -> None:
    """Writes down how many instances these studies (by id) and their series hold now."""
    connection.exec_driver_sql(_COUNT, {"studies": list(studies)})
