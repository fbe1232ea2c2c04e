"""`minikd gpu-check`: compares all numerical results on the device with NumPy's, and times training steps there.

It writes one file that a user can send to us.
"""

from minikd.evidence.gpu_check.report import DeviceReport, run, text

__all__ = ["DeviceReport", "run", "text"]
