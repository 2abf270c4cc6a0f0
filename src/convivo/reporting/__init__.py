"""The end of the road: everything a run found out, as one page for people."""

from convivo.reporting.content import CasePicture as CasePicture
from convivo.reporting.content import Report as Report
from convivo.reporting.page import write_report as write_report
