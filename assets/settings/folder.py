"""The type of a setting that names a folder."""

from typing import Annotated

from pydantic import StringConstraints

Folder = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]
