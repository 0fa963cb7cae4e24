"""How pydicom reads, in every process that imports this: leniently and silently.

What modalities send is taken whether or not a value keeps to its VR, and pydicom's warnings about
values would carry patient data into logs.
"""

from pydicom import config

config.settings.reading_validation_mode = config.IGNORE
