"""`brushedit doctor`: what this machine has, and what each profile lacks on it."""

from importlib.metadata import PackageNotFoundError, version

import typer

from app.commands.options import WeightsOption

_PACKAGES = (
    "torch torchvision diffusers transformers groundingdino-py segment-anything llguidance qwen-vl-utils "
    "bitsandbytes numpy"
)


def doctor(weights: WeightsOption = None) -> None:
    """Print versions, device and precision, and the state of each profile's weights."""
    import torch

    from models.catalog import PROFILES
    from models.placement import choose_device, choose_dtype
    from models.weights import lacking

    for package in _PACKAGES.split():
        typer.echo(f"{package:<18} {_version(package)}")
    device = choose_device()
    typer.echo(f"{'device':<18} {device} ({_describe(device)})")
    typer.echo(f"{'precision':<18} {str(choose_dtype(device)).removeprefix('torch.')}")
    typer.echo(f"{'threads':<18} {torch.get_num_threads()}")
    for profile in PROFILES.values():
        missing = lacking(profile, tuple(weights or ()))
        state = f"lacks {', '.join(missing)}" if missing else "complete"
        typer.echo(f"{f'profile {profile.name}':<18} {state}")


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def _describe(device: object) -> str:
    import torch

    if not str(device).startswith("cuda"):
        return "main memory"
    free, total = torch.cuda.mem_get_info()
    return f"{torch.cuda.get_device_name()}, {free / 2**30:.1f} of {total / 2**30:.1f} GiB free"
