"""The clinic: broken set-ups to try the doctor on, each made in seconds (chapter 9d).

Every case in `CASES` builds one thing that goes wrong in practice; the tests ask the doctor for
its cause, and the page "My mask is black" shows it. `HEALTHY` holds set-ups with nothing wrong.
"""

from unet_lib.course.clinic.case import Case, Folders
from unet_lib.course.clinic.data_cases import DATA_CASES
from unet_lib.course.clinic.file_cases import FILE_CASES
from unet_lib.course.clinic.healthy import HEALTHY
from unet_lib.course.clinic.network_cases import NETWORK_CASES
from unet_lib.course.clinic.outcome_cases import OUTCOME_CASES
from unet_lib.course.clinic.part_cases import PART_CASES

CASES = (*FILE_CASES, *DATA_CASES, *PART_CASES, *NETWORK_CASES, *OUTCOME_CASES)
"""All broken set-ups, in the order of the examination."""

__all__ = ["CASES", "HEALTHY", "Case", "Folders"]
