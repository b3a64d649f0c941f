"""The one table of networks that drives the tests of paths."""

import cases_forms
import cases_small
import cases_transformers
import cases_vision
from cases_small import ConvNet

__all__ = ["CASES", "ConvNet"]

CASES = cases_small.CASES | cases_forms.CASES | cases_transformers.CASES | cases_vision.CASES
