"""The web page: files that anybody may read, and that may load nothing from elsewhere."""

from pathlib import Path
from typing import Final

from fastapi import APIRouter
from fastapi.responses import FileResponse
from starlette.responses import Response
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

router = APIRouter(include_in_schema=False)

_FOLDER: Final = Path(__file__).parent.parent / "web"
_POLICY: Final = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        # The page fetches pictures with its key and shows them as blobs.
        "img-src 'self' blob:",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
        "require-trusted-types-for 'script'",
        "trusted-types 'none'",
    )
)
_HEADERS: Final = {"Content-Security-Policy": _POLICY, "Cache-Control": "no-cache"}


@router.get("/", response_class=FileResponse)
def get_page() -> FileResponse:
    """Return the page."""
    return FileResponse(_FOLDER / "index.html", media_type="text/html", headers=_HEADERS)


class Assets(StaticFiles):
    """What the page is made of. Browsers ask each time whether it changed, so an upgrade takes effect at once."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        """Return a file."""
        response = await super().get_response(path, scope)
        response.headers.update(_HEADERS)
        return response


def assets() -> Assets:
    """Return the folder of the page's scripts, styles and pictures."""
    return Assets(directory=_FOLDER)
