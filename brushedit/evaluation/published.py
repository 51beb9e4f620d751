"""Figures that papers print, as data with their source, in the papers' own scaling."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

IMAGE_REWARD, HPS, AESTHETIC, CLIP = "ImageReward", "HPS v2.1", "aesthetic", "CLIP"
PSNR, MSE, LPIPS, SSIM = "PSNR", "MSE", "LPIPS", "SSIM"
PLAIN_PSNR, PLAIN_MSE = "PSNR per channel", "MSE per channel"

SCALE: Final[Mapping[str, float]] = MappingProxyType(
    {
        IMAGE_REWARD: 10,
        HPS: 100,
        AESTHETIC: 1,
        PSNR: 1,
        PLAIN_PSNR: 1,
        MSE: 1000,
        PLAIN_MSE: 1000,
        LPIPS: 1000,
        SSIM: 100,
        CLIP: 1,
    }
)
"""What a raw mean is multiplied by in the tables of BrushNet and BrushEdit. BrushEdit's table prints SSIM x10^3,
but its values are on the x10^2 scale."""

_EDIT = "BrushEdit, arXiv 2412.10316, table IV"
_BENCH = "BrushEdit, arXiv 2412.10316, table V"
_PIE = "BrushEdit, arXiv 2412.10316, table II"
_NET = "BrushNet, arXiv 2403.06976, after secondary notes"


@dataclass(frozen=True)
class PublishedRow:
    """One row of a published table.

    Attributes
    ----------
    benchmark : str
        "brushbench inside", "brushbench outside", "editbench" or "pie-bench".
    method : str
        A trailing * = with blending.
    figures : mapping of metric to value
        In the paper's scaling (`SCALE`; PIE-Bench's MSE is x10^4).
    source : str
    """

    benchmark: str
    method: str
    figures: Mapping[str, float]
    source: str


def _rows(benchmark: str, source: str, metrics: tuple[str, ...], table: str) -> tuple[PublishedRow, ...]:
    rows: list[PublishedRow] = []
    for line in table.strip().splitlines():
        method, _, values = line.strip().partition(": ")
        figures = [float(value) for value in values.split(" / ")]
        rows.append(
            PublishedRow(
                benchmark, method, MappingProxyType(dict(zip(metrics, figures, strict=True))), source
            )
        )
    return tuple(rows)


PUBLISHED: Final = (
    *_rows(
        "brushbench inside",
        _EDIT,
        (PSNR, MSE, LPIPS, SSIM, CLIP),
        """
        BLD: 21.33 / 9.76 / 49.26 / 74.58 / 26.15
        SDI: 21.52 / 13.87 / 48.39 / 89.07 / 26.17
        HD-Painter: 22.61 / 9.95 / 43.50 / 89.03 / 26.37
        PowerPaint: 21.43 / 32.73 / 48.43 / 86.39 / 26.48
        ControlNet-Inp: 12.39 / 78.78 / 243.62 / 65.25 / 26.47
        ControlNet-Inp*: 22.73 / 24.58 / 43.49 / 91.53 / 26.22
        BrushNet-Seg*: 31.94 / 0.80 / 18.67 / 96.55 / 26.39
        BrushEdit*: 31.98 / 0.79 / 18.92 / 96.68 / 26.24
        """,
    ),
    *_rows(
        "brushbench outside",
        _EDIT,
        (PSNR, MSE, LPIPS, SSIM, CLIP),
        """
        BLD: 15.85 / 35.86 / 21.40 / 77.40 / 26.73
        SDI: 18.04 / 19.87 / 15.13 / 91.42 / 27.21
        HD-Painter: 18.03 / 22.99 / 15.22 / 90.48 / 26.96
        PowerPaint: 18.04 / 31.78 / 15.13 / 90.11 / 26.72
        ControlNet-Inp: 11.91 / 83.03 / 58.16 / 66.80 / 27.29
        ControlNet-Inp*: 17.50 / 37.72 / 19.95 / 94.87 / 26.92
        BrushNet-Seg*: 27.82 / 2.25 / 4.63 / 98.95 / 27.22
        BrushEdit*: 27.65 / 2.30 / 4.90 / 98.97 / 27.29
        """,
    ),
    *_rows(
        "brushbench inside",
        _NET,
        (IMAGE_REWARD, HPS, AESTHETIC),
        """
        BLD: 9.78 / 25.87 / 6.17
        SDI: 11.72 / 27.06 / 6.50
        HD-Painter: 11.68 / 26.90 / 6.42
        PowerPaint: 11.46 / 27.35 / 6.24
        ControlNet-Inp*: 11.21 / 26.92 / 6.39
        BrushNet*: 12.64 / 27.78 / 6.51
        """,
    ),
    *_rows(
        "brushbench inside",
        _NET,
        (IMAGE_REWARD, HPS, AESTHETIC, PSNR, MSE, LPIPS, CLIP),
        "BrushNet: 12.36 / 27.40 / 6.53 / 21.65 / 9.31 / 48.28 / 26.48",
    ),
    *_rows(
        "editbench",
        _BENCH,
        (PSNR, MSE, LPIPS, SSIM, CLIP),
        """
        BLD: 20.89 / 10.93 / 31.90 / 85.09 / 28.62
        SDI: 23.25 / 6.94 / 24.30 / 90.13 / 28.00
        HD-Painter: 23.07 / 6.70 / 24.32 / 92.56 / 28.34
        PowerPaint: 23.34 / 20.12 / 24.12 / 91.49 / 27.80
        ControlNet-Inp: 12.71 / 69.42 / 159.71 / 79.16 / 28.16
        ControlNet-Inp*: 22.61 / 35.93 / 26.14 / 94.05 / 27.74
        BrushNet-Ran*: 33.66 / 0.63 / 10.12 / 98.13 / 28.87
        BrushEdit*: 32.97 / 0.70 / 7.24 / 98.60 / 29.62
        """,
    ),
    *_rows(
        "pie-bench",
        _PIE,
        (PSNR, LPIPS, MSE, SSIM, CLIP),
        """
        DDIM+P2P: 17.87 / 208.80 / 219.88 / 71.14 / 22.44
        PnP+P2P: 27.22 / 54.55 / 32.86 / 84.76 / 22.10
        DDIM+MasaCtrl: 22.17 / 106.62 / 86.97 / 79.67 / 21.16
        PnP+MasaCtrl: 22.64 / 87.94 / 81.09 / 81.33 / 21.35
        DDIM+P2P-Zero: 20.44 / 172.22 / 144.12 / 74.67 / 20.54
        PnP+P2P-Zero: 21.53 / 138.98 / 127.32 / 77.05 / 21.05
        DDIM+PnP: 22.28 / 113.46 / 83.64 / 79.05 / 22.55
        PnP+PnP: 22.46 / 106.06 / 80.45 / 79.68 / 22.62
        BrushEdit: 32.16 / 17.22 / 8.43 / 97.08 / 22.44
        """,
    ),
)


def published(benchmark: str) -> tuple[PublishedRow, ...]:
    """Return the rows of one benchmark, in the order of the papers."""
    return tuple(row for row in PUBLISHED if row.benchmark == benchmark)
