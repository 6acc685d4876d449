"""The doctor: what is wrong with a data set, a network or a run, and the cure (chapter 9d).

It looks and says; it never repairs. `examine` takes a whole set-up, `check_dataset`,
`check_model`, `check_folder` and `check_run` take parts of one, and `python -m unet_lib check`
takes folders. Every threshold stands at the top of the module that uses it.
"""

from unet_lib.data.findings import Finding
from unet_lib.doctor.data_causes import Cause
from unet_lib.doctor.examine import check_dataset, check_model, examine
from unet_lib.doctor.files import check_folder
from unet_lib.doctor.finding import CAUSES, diagnosis, paragraph
from unet_lib.doctor.run import check_run
from unet_lib.doctor.setup import SetUp

__all__ = [
    "CAUSES",
    "Cause",
    "Finding",
    "SetUp",
    "check_dataset",
    "check_folder",
    "check_model",
    "check_run",
    "diagnosis",
    "examine",
    "paragraph",
]
