"""What a study and its series hold: how many instances are shown, and which modalities made them.

While images keep coming nobody counts: whoever asks counts for himself (pacs.index.query). The
numbers are written down once the study has been found quiet, and whenever something comes that does
not wake it again, such as the result of an AI, and when instances are rejected or restored.
"""

from collections.abc import Sequence

from sqlalchemy import Connection

_COUNT = """
WITH counted AS (
  SELECT e.id AS series_ref, e.study_ref, e.modality, count(i.id) AS instances
  FROM series e LEFT JOIN instances i ON i.series_ref = e.id AND i.current
  WHERE e.study_ref = ANY(%(studies)s)
  GROUP BY e.id, e.study_ref, e.modality),
of_series AS (
  UPDATE series SET number_of_instances = c.instances, hidden = c.instances = 0
  FROM counted c WHERE series.id = c.series_ref
    AND (series.number_of_instances <> c.instances OR series.hidden <> (c.instances = 0)))
UPDATE studies SET number_of_instances = c.instances, hidden = c.instances = 0,
  number_of_series = c.series, modalities = c.modalities
FROM (SELECT study_ref, sum(instances) AS instances,
    count(*) FILTER (WHERE instances > 0) AS series,
    coalesce(array_agg(DISTINCT modality ORDER BY modality)
      FILTER (WHERE modality <> '' AND instances > 0), '{}') AS modalities
  FROM counted GROUP BY study_ref) c
WHERE studies.id = c.study_ref AND (studies.number_of_instances <> c.instances
  OR studies.hidden <> (c.instances = 0) OR studies.number_of_series <> c.series
  OR studies.modalities <> c.modalities)
"""


def count_instances(connection: Connection, studies: Sequence[int]) -> None:
    """Writes down what these studies (by id) and their series show now; without any, they hide."""
    connection.exec_driver_sql(_COUNT, {"studies": list(studies)})
