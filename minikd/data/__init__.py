"""Data sets, their views in training, and the order of the samples."""

from minikd.data.augment import Augmentation, augment
from minikd.data.batches import Batch, Views, epoch_order, mean_and_std
from minikd.data.dataset import Dataset
from minikd.data.pictures import load_image
from minikd.data.sources import load_dataset
from minikd.data.splits import hold_out
from minikd.data.unlabelled import load_images

__all__ = [
    "Augmentation",
    "Batch",
    "Dataset",
    "Views",
    "augment",
    "epoch_order",
    "hold_out",
    "load_dataset",
    "load_image",
    "load_images",
    "mean_and_std",
]
