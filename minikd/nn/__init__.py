"""The layers. Each file has one idea: the derivation, the forward and the backward function, the layer class."""

from minikd.nn.activations import GELU, LeakyReLU, ReLU, Sigmoid, Tanh
from minikd.nn.container import Sequential
from minikd.nn.conv import Conv2d
from minikd.nn.dropout import Dropout
from minikd.nn.embedding import Embedding
from minikd.nn.flatten import Flatten
from minikd.nn.layer import Grads, Layer
from minikd.nn.linear import Linear
from minikd.nn.normalization import BatchNorm1d, BatchNorm2d, LayerNorm
from minikd.nn.pooling import AvgPool2d, GlobalAvgPool2d, MaxPool2d
from minikd.nn.residual import Residual

__all__ = [
    "GELU",
    "AvgPool2d",
    "BatchNorm1d",
    "BatchNorm2d",
    "Conv2d",
    "Dropout",
    "Embedding",
    "Flatten",
    "GlobalAvgPool2d",
    "Grads",
    "Layer",
    "LayerNorm",
    "LeakyReLU",
    "Linear",
    "MaxPool2d",
    "ReLU",
    "Residual",
    "Sequential",
    "Sigmoid",
    "Tanh",
]
