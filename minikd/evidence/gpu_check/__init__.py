"""`minikd gpu-check`: everything numerical, once on NumPy and once on the device, and what a training step costs there.

For the first user with a GPU, and for us, who have none: it leaves one file that can be sent.
"""

from minikd.evidence.gpu_check.report import DeviceReport, run, text

__all__ = ["DeviceReport", "run", "text"]
