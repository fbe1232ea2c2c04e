"""The same steps in PyTorch on the device: eager, fused Adam, channels-last, and each as a CUDA graph.

The images lie on the device as uint8; a batch is cut and normalised there. Usage: torch_steps.py FOUND.jsonl BATCH ...
"""

import json
import sys
import time
from statistics import median

import torch
from torch import nn
from torch.nn import functional as F

GPU = torch.cuda.is_available()
WHERE, COUNT, IMAGES = ("cuda", 60, 8192) if GPU else ("cpu", 2, 512)
WAYS = (
    {"channels_last": False, "fused": False, "tf32": False},
    {"channels_last": False, "fused": True, "tf32": False},
    {"channels_last": True, "fused": True, "tf32": False},
    {"channels_last": True, "fused": True, "tf32": True},
)


def cnn():
    """The main job's teacher."""
    features = [nn.Conv2d(1, 32, 3, padding=1), nn.MaxPool2d(2), nn.ReLU()]
    features += [nn.Conv2d(32, 64, 3, padding=1), nn.MaxPool2d(2), nn.ReLU(), nn.Flatten()]
    return nn.Sequential(*features, nn.Linear(3136, 128), nn.ReLU(), nn.Linear(128, 10))


def mlp():
    """The main job's student."""
    return nn.Sequential(nn.Flatten(), nn.Linear(784, 128), nn.ReLU(), nn.Linear(128, 10))


NETWORKS = {"teacher": cnn, "student on labels": mlp, "student, cached teacher": mlp}


def microseconds(work, count):
    """Return the median host and device time of one call, of five bursts."""
    hosts, devices = [], []
    for _ in range(5 if GPU else 1):
        if GPU:
            torch.cuda.synchronize()
            begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
            begin.record()
        start = time.perf_counter()
        for _ in range(count):
            work()
        if GPU:
            end.record()
        hosts.append(1e6 * (time.perf_counter() - start) / count)
        if GPU:
            end.synchronize()
            devices.append(1e3 * begin.elapsed_time(end) / count)
    return median(hosts), median(devices or hosts)


def step_of(kind, batch, way):
    """Return a function that takes one training step."""
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = way["tf32"]
    torch.backends.cudnn.benchmark = True
    images = torch.randint(0, 256, (IMAGES, 1, 28, 28), dtype=torch.uint8, device=WHERE)
    labels, answers = torch.randint(0, 10, (IMAGES,), device=WHERE), 3 * torch.randn(IMAGES, 10, device=WHERE)
    layout = torch.channels_last if way["channels_last"] else torch.contiguous_format
    model = NETWORKS[kind]().to(WHERE, memory_format=layout)
    options = {"fused": True} if way["fused"] else {"foreach": True}
    optimizer = torch.optim.Adam(model.parameters(), 1e-3, capturable=GPU, **options)
    index = torch.randperm(IMAGES, device=WHERE)[:batch].clone()

    def step():
        x = images[index].float().sub_(33.3).div_(78.6).contiguous(memory_format=layout)
        optimizer.zero_grad(set_to_none=True)
        z = model(x)
        loss = F.cross_entropy(z, labels[index])
        if "cached" in kind:
            p = F.softmax(answers[index] / 4.0, 1)
            loss = 0.9 * 16.0 * F.kl_div(F.log_softmax(z / 4.0, 1), p, reduction="batchmean") + 0.1 * loss
        loss.backward()
        optimizer.step()

    return step


def measured(kind, batch, way):
    """Yield the eager step's times and, on a GPU, those of its graph."""
    step = step_of(kind, batch, way)
    if not GPU:
        yield "eager", microseconds(step, COUNT)
        return
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(4):
            step()
    torch.cuda.current_stream().wait_stream(side)
    yield "eager", microseconds(step, COUNT)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        step()
    yield "graph", microseconds(graph.replay, 5 * COUNT)


def main(path, *batches):
    for batch in map(int, batches):
        for kind in NETWORKS:
            for way in WAYS:
                if way["channels_last"] and kind != "teacher":
                    continue
                named = ", ".join(name.replace("_", "-") for name, on in way.items() if on)
                row = {"side": "PyTorch" if GPU else "PyTorch on the CPU", "kind": kind, "batch": batch}
                try:
                    for mode, (host, device) in measured(kind, batch, way):
                        how = ", ".join(filter(None, (mode, named)))
                        times = {"host_us": host, "device_us": device, "images_per_second": 1e6 * batch / device}
                        write(path, row | {"how": how} | times)
                except Exception as error:  # whatever it is, the others must still be timed
                    write(path, row | {"how": named, "error": f"{type(error).__name__}: {error}"})


def write(path, row):
    print(row)
    with open(path, "a", encoding="utf-8") as file:
        file.write(json.dumps(row) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
